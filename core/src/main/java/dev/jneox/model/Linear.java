package dev.jneox.model;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * {@code y = x W^T + b}, in the weight's own precision: {@code x} and {@code y} are fp32, a bf16 weight multiplies in bf16.
 *
 * @param weight {@code [out, in]}
 * @param bias {@code [out]} or null
 */
record Linear(Tensor weight, Tensor bias) {
  /** {@code [..., in]} to {@code [..., out]}. */
  Tensor forward(Tensor x) {
    ScalarType dtype = weight.scalar_type().intern();
    if (dtype == ScalarType.Float || dtype == ScalarType.Double) {
      return multiply(x);
    }
    return multiply(x.to(dtype)).to(ScalarType.Float);
  }

  private Tensor multiply(Tensor x) {
    if (bias == null) {
      return torch.linear(x, weight);
    }
    try (TensorOptional b = new TensorOptional(bias)) {
      return torch.linear(x, weight, b);
    }
  }
}
