package dev.jneox.torch;

import org.bytedeco.pytorch.Tensor;

/**
 * {@code y = x W^T + b}, in the weight's own precision: {@code x} and {@code y} are fp32, a bf16
 * weight multiplies in bf16.
 *
 * @param weight {@code [out, in]}
 * @param bias {@code [out]} or null
 */
record Linear(Tensor weight, Tensor bias) {
  /** {@code [..., in]} to {@code [..., out]}. */
  Tensor forward(Tensor x) {
    return Products.linear(x, weight, bias);
  }
}
