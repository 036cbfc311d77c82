package dev.jneox.torch;

import dev.jneox.model.Norm;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;

/**
 * Normalises rows over the last axis as a {@link Norm} says, in fp32 (fp64 where the model is).
 *
 * @param bias null where the norm has none
 */
record NormLayer(Norm norm, Tensor weight, @Nullable Tensor bias) {
  /** {@code [B,S,H]} to {@code [B,S,H]}. */
  Tensor forward(Tensor x, Hooks hooks, String name) {
    return switch (norm) {
      case Norm.Layer(double eps) ->
          hooks.at(
              name,
              ".hook_normalized",
              hooks.wants(name + ".hook_scale") ? explicit(x, eps, hooks, name) : fused(x, eps));
      case Norm.Rms(double eps) -> {
        Tensor scale = hooks.at(name, ".hook_scale", root(x.mul(x), eps));
        yield hooks.at(name, ".hook_normalized", x.div(scale)).mul(weight);
      }
    };
  }

  private Tensor fused(Tensor x, double eps) {
    try (TensorOptional w = new TensorOptional(weight);
        TensorOptional b = new TensorOptional(bias)) {
      return torch.layer_norm(x, new long[] {weight.size(0)}, w, b, eps, false);
    }
  }

  private Tensor explicit(Tensor x, double eps, Hooks hooks, String name) {
    Tensor centred = x.sub(x.mean(new long[] {-1}, true, null));
    Tensor scale = hooks.at(name, ".hook_scale", root(centred.mul(centred), eps));
    return centred.div(scale).mul(weight).add(bias);
  }

  /** The root of the mean of squares, {@code [B,S,1]}. */
  private static Tensor root(Tensor squares, double eps) {
    return squares.mean(new long[] {-1}, true, null).add(new Scalar(eps)).sqrt();
  }
}
