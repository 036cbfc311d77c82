package dev.jneox.torch;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.jspecify.annotations.Nullable;

/**
 * {@code y = x W^T + b}, in a precision of its own: {@code x} and {@code y} are fp32 all the same.
 *
 * @param weight {@code [out, in]}
 * @param bias {@code [out]} or null
 * @param compute the type that is multiplied in: the weight's own, or one that it is rounded to
 */
record Linear(Tensor weight, @Nullable Tensor bias, ScalarType compute) {
  /** {@code [..., in]} to {@code [..., out]}. */
  Tensor forward(Tensor x) {
    return Products.linear(x, weight.to(compute), bias == null ? null : bias.to(compute));
  }
}
