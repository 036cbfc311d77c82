package dev.jneox.torch;

import dev.jneox.model.ModelSpec;
import dev.jneox.model.Param;
import dev.jneox.model.ParamId;
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

  /** The values of every parameter of {@code spec}, the same for the same seed. */
  static Map<ParamId, float[]> weights(ModelSpec spec, long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    Map<ParamId, float[]> weights = new LinkedHashMap<>();
    for (Param param : spec.parameters()) {
      boolean table = param.id().part().isTable();
      boolean normWeight = param.id().part().isNorm() && !param.id().isBias();
      double deviation = param.isMatrix() && !table ? 1 / Math.sqrt(param.columns()) : 0.5;
      float[] values = new float[Math.toIntExact(param.elements())];
      for (int i = 0; i < values.length; i++) {
        values[i] = (float) (deviation * random.nextGaussian() + (normWeight ? 1 : 0));
      }
      weights.put(param.id(), values);
    }
    return weights;
  }

  /** A model in fp32. */
  public static CausalLM of(ModelSpec spec, long seed) {
    return of(spec, seed, ScalarType.Float);
  }

  /** A model whose weights are all of one type. */
  public static CausalLM of(ModelSpec spec, long seed, ScalarType dtype) {
    Map<ParamId, float[]> values = weights(spec, seed);
    Map<ParamId, Tensor> tensors = new LinkedHashMap<>();
    for (Param param : spec.parameters()) {
      try (Tensor fp32 = Tensors.of(values.get(param.id()), param.axes())) {
        tensors.put(param.id(), fp32.to(dtype));
      }
    }
    return new CausalLM(spec, tensors);
  }
}
