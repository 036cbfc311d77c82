package dev.jneox.model;

import dev.jneox.tensor.Tensors;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.SplittableRandom;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * Models of random weights for tests, large enough in their values that no part of the forward pass
 * is lost in rounding.
 */
public final class RandomModel {
  private RandomModel() {}

  /** The values of every tensor of {@code config}, the same for the same seed. */
  static Map<String, float[]> weights(ModelConfig config, long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    Map<String, float[]> weights = new LinkedHashMap<>();
    for (ModelConfig.TensorSpec spec : config.tensors()) {
      boolean normWeight = spec.name().endsWith("norm.weight");
      double deviation =
          spec.shape().length > 1 && !spec.name().startsWith("embed")
              ? 1 / Math.sqrt(spec.shape()[1])
              : 0.5;
      float[] values = new float[Math.toIntExact(spec.elements())];
      for (int i = 0; i < values.length; i++) {
        values[i] = (float) (deviation * random.nextGaussian() + (normWeight ? 1 : 0));
      }
      weights.put(spec.name(), values);
    }
    return weights;
  }

  /** A model in fp32. */
  public static CausalLM of(ModelConfig config, long seed) {
    return of(config, seed, ScalarType.Float);
  }

  /** A model whose weights are all of one type. */
  public static CausalLM of(ModelConfig config, long seed, ScalarType dtype) {
    Map<String, float[]> values = weights(config, seed);
    Map<String, Tensor> tensors = new LinkedHashMap<>();
    for (ModelConfig.TensorSpec spec : config.tensors()) {
      try (Tensor fp32 = Tensors.of(values.get(spec.name()), spec.shape())) {
        tensors.put(spec.name(), fp32.to(dtype));
      }
    }
    return new CausalLM(config, tensors);
  }
}
