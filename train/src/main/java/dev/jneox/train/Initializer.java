package dev.jneox.train;

import dev.jneox.model.ModelConfig;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.SplittableRandom;

/**
 * Draws the first weights: normal matrices, zero biases, norms of weight 1. {@code input} covers the embedding, the fused
 * query-key-value, the MLP's first matrix and the head; {@code output} the two matrices that write to the residual stream. Each tensor
 * draws from its own stream, which depends only on the seed and its name.
 */
public record Initializer(double inputDeviation, double outputDeviation) {
  /**
   * GPT-NeoX's methods by name.
   *
   * @param method {@code normal}: {@code std}; {@code scaled_normal}: {@code std / sqrt(2 L)}; {@code small_init}: {@code sqrt(2/(5 H))}
   *     (Nguyen and Salazar 2019); {@code wang_init}: {@code 2 / (L sqrt H)}
   * @param std {@code init_method_std}
   * @return the standard deviation, or NaN for a name that is none of these
   */
  public static double deviation(String method, double std, ModelConfig config) {
    double h = config.hiddenSize();
    double layers = config.layers();
    return switch (method) {
      case "normal" -> std;
      case "scaled_normal" -> std / Math.sqrt(2 * layers);
      case "small_init" -> Math.sqrt(2 / (5 * h));
      case "wang_init" -> 2 / (layers * Math.sqrt(h));
      default -> Double.NaN;
    };
  }

  /** Fills every weight and casts them for the products. */
  public void fill(Parameters parameters, long seed) {
    for (Parameters.Slot slot : parameters.slots()) {
      MemorySegment data = parameters.weightData(slot.name());
      String name = slot.name();
      if (slot.shape().length > 1) {
        boolean output = name.endsWith("attention.dense.weight") || name.endsWith("dense_4h_to_h.weight");
        normal(data, slot.size(), output ? outputDeviation : inputDeviation, seed * 0x9E3779B97F4A7C15L + name.hashCode());
      } else {
        float value = name.endsWith("norm.weight") ? 1 : 0;
        for (long i = 0; i < slot.size(); i++) {
          data.setAtIndex(ValueLayout.JAVA_FLOAT, i, value);
        }
      }
    }
    parameters.refresh();
  }

  private static void normal(MemorySegment data, long size, double deviation, long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    for (long i = 0; i < size; i++) {
      data.setAtIndex(ValueLayout.JAVA_FLOAT, i, (float) (deviation * random.nextGaussian()));
    }
  }
}
