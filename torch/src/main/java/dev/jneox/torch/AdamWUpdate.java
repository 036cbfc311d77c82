package dev.jneox.torch;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;

/**
 * Makes one update of AdamW by libtorch's operations, on whatever device the numbers are:
 *
 * <pre>{@code
 * g = scale g     m = beta1 m + (1-beta1) g     v = beta2 v + (1-beta2) g^2
 * p = keep p - step m / (correction sqrt(v) + eps)     g = 0
 * }</pre>
 *
 * @param scale clipping, and the inverse of the loss scale
 * @param step the learning rate over the first moment's bias correction
 * @param correction the inverse root of the second moment's bias correction
 */
public record AdamWUpdate(
    double beta1, double beta2, double eps, double scale, double step, double correction) {
  /**
   * Updates the elements {@code [from, to)}.
   *
   * @param moments where the moments of element {@code from} are
   * @param keep what weight decay leaves of a weight: 1 for none
   */
  public void apply(
      FlatTensor weights,
      FlatTensor gradients,
      FlatTensor firstMoments,
      FlatTensor secondMoments,
      long from,
      long to,
      long moments,
      double keep) {
    try (PointerScope _ = new PointerScope();
        NoGradGuard _ = new NoGradGuard()) {
      Tensor g = gradients.slice(from, to - from).mul_(new Scalar(scale));
      Tensor m = firstMoments.slice(moments, to - from).mul_(new Scalar(beta1));
      m.add_(g, new Scalar(1 - beta1));
      Tensor v = secondMoments.slice(moments, to - from).mul_(new Scalar(beta2));
      v.addcmul_(g, g, new Scalar(1 - beta2));
      Tensor root = v.sqrt().mul_(new Scalar(correction)).add_(new Scalar(eps));
      Tensor p = weights.slice(from, to - from).mul_(new Scalar(keep));
      p.addcdiv_(m, root, new Scalar(-step));
      g.zero_();
    }
  }
}
