package dev.jneox.model;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;

/** Layer normalisation over the last axis (Ba et al. 2016), in fp32. */
record Norm(Tensor weight, Tensor bias, double eps) {
  /** {@code [B,S,H]} to {@code [B,S,H]}. */
  Tensor forward(Tensor x, Hooks hooks, String name) {
    return hooks.at(
        name,
        ".hook_normalized",
        hooks.wants(name + ".hook_scale") ? explicit(x, hooks, name) : fused(x));
  }

  private Tensor fused(Tensor x) {
    try (TensorOptional w = new TensorOptional(weight);
        TensorOptional b = new TensorOptional(bias)) {
      return torch.layer_norm(x, new long[] {weight.size(0)}, w, b, eps, false);
    }
  }

  private Tensor explicit(Tensor x, Hooks hooks, String name) {
    Tensor centred = x.sub(x.mean(new long[] {-1}, true, null));
    Tensor variance = centred.mul(centred).mean(new long[] {-1}, true, null);
    Tensor scale = hooks.at(name, ".hook_scale", variance.add(new Scalar(eps)).sqrt());
    return centred.div(scale).mul(weight).add(bias);
  }
}
