package dev.jneox.train;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.SplittableRandom;

/**
 * Draws the first weights: normal matrices, zero biases, norms of weight 1. {@code input} covers
 * the embedding, the fused query-key-value, the MLP's first matrix and the head; {@code output} the
 * two matrices that write to the residual stream. Each tensor draws from its own stream, which
 * depends only on the seed and its name.
 *
 * @param inputDeviation standard deviation, see {@link ModelSection#initStd}
 * @param outputDeviation standard deviation
 */
public record Initializer(double inputDeviation, double outputDeviation) {
  /** Fills every weight and casts them for the products. */
  public void fill(Parameters parameters, long seed) {
    for (Parameters.Slot slot : parameters.slots()) {
      MemorySegment data = parameters.weightData(slot.name());
      String name = slot.name();
      if (slot.shape().length > 1) {
        boolean output =
            name.endsWith("attention.dense.weight") || name.endsWith("dense_4h_to_h.weight");
        normal(
            data,
            slot.size(),
            output ? outputDeviation : inputDeviation,
            seed * 0x9E3779B97F4A7C15L + name.hashCode());
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
