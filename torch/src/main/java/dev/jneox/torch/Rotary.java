package dev.jneox.torch;

import dev.jneox.model.Position;
import java.util.Objects;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;

/**
 * The cosines and sines of {@link Position.Rotary}, as far as texts have reached, and their
 * application to queries and keys.
 */
final class Rotary {
  private static final int FIRST = 64;

  private final Position.Rotary position;
  private final int dims;
  private final boolean interleaved;
  private @Nullable Tensor cos; // [positions, 1, dims]
  private @Nullable Tensor sin;

  Rotary(Position.Rotary position) {
    this.position = position;
    this.dims = position.dims();
    this.interleaved = position.interleaved();
  }

  /**
   * Makes the tables long enough, where {@code like} is: they grow with the texts, not with what a
   * configuration claims.
   */
  private void reach(long positions, Tensor like) {
    if (cos != null && positions <= cos.size(0)) {
      return;
    }
    int n = Math.toIntExact(Math.max(positions, cos == null ? FIRST : 2 * cos.size(0)));
    float[] c = new float[Math.multiplyExact(n, dims)];
    float[] s = new float[c.length];
    for (int p = 0; p < n; p++) {
      for (int i = 0; i < dims / 2; i++) {
        float angle = position.angle(p, i);
        int a = p * dims + (interleaved ? 2 * i : i);
        int b = interleaved ? a + 1 : a + dims / 2;
        c[a] = c[b] = (float) Math.cos(angle);
        s[a] = s[b] = (float) Math.sin(angle);
      }
    }
    cos = Tensors.like(Tensors.of(c, n, 1, dims), like).retainReference();
    sin = Tensors.like(Tensors.of(s, n, 1, dims), like).retainReference();
  }

  /**
   * Turns the first {@code dims} values of {@code x [B,S,heads,headDim]}, whose first row stands at
   * position {@code past}.
   */
  Tensor apply(Tensor x, long past) {
    reach(past + x.size(1), x);
    long width = x.size(3);
    Tensor head = dims == width ? x : x.narrow(3, 0, dims);
    Tensor c = Objects.requireNonNull(cos).narrow(0, past, x.size(1));
    Tensor s = Objects.requireNonNull(sin).narrow(0, past, x.size(1));
    Tensor turned = head.mul(c).add(partner(head).mul(s));
    return dims == width
        ? turned
        : torch.cat(new TensorVector(turned, x.narrow(3, dims, width - dims)), 3);
  }

  /** For each value the other one of its pair, negated for the first: {@code (a, b) -> (-b, a)}. */
  private Tensor partner(Tensor x) {
    if (interleaved) {
      long[] shape = Tensors.shape(x);
      Tensor pairs = x.reshape(shape[0], shape[1], shape[2], dims / 2, 2);
      return torch
          .stack(new TensorVector(pairs.select(4, 1).neg(), pairs.select(4, 0)), 4)
          .reshape(shape);
    }
    return torch.cat(
        new TensorVector(x.narrow(3, dims / 2, dims / 2).neg(), x.narrow(3, 0, dims / 2)), 3);
  }
}
