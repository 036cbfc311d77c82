package dev.jneox.train;

import dev.jneox.kernel.Vectors;
import dev.jneox.kernel.Workers;
import dev.jneox.model.FeedForward;
import dev.jneox.torch.Matrix;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * Computes what a feed-forward layer does between its two products, forward and backward, each in
 * one pass over the rows in fp32. Each thread has its own sums over rows, which are added in thread
 * order.
 */
sealed interface FeedForwardKernel {
  /** Returns the number of columns of the first product. */
  int columns();

  /**
   * Computes the input of the second product.
   *
   * @param pre result of the first product, {@code [tokens, columns]}; not changed
   * @param bias added to {@code pre}; null for none
   * @param post gets {@code [tokens, F]}
   */
  void forward(Matrix pre, @Nullable MemorySegment bias, Matrix post);

  /**
   * Computes the gradient of {@code pre} from that of {@code post}, and overwrites one of them with
   * it.
   *
   * @param bias added to {@code pre}; null for none
   * @param gradient of {@code post}; undefined afterwards unless it is returned
   * @param biasGradient gets the column sums of the result added; null for none
   * @return the gradient of {@code pre}: {@code gradient} or {@code pre}
   */
  Matrix backward(
      Matrix pre,
      @Nullable MemorySegment bias,
      Matrix gradient,
      @Nullable MemorySegment biasGradient);

  static FeedForwardKernel of(FeedForward feedForward) {
    RowActivation activation = RowActivation.of(feedForward.activation());
    return switch (feedForward) {
      case FeedForward.Plain plain -> new Plain(plain.width(), activation);
      case FeedForward.Gated gated -> new Gated(gated.width(), activation);
    };
  }

  /** Computes {@code post = act(pre + bias)}. */
  record Plain(int columns, RowActivation activation) implements FeedForwardKernel {
    @Override
    public void forward(Matrix pre, @Nullable MemorySegment bias, Matrix post) {
      int n = columns;
      float[] b = Kernels.bias(bias, n);
      Workers.all()
          .forEach(
              pre.rows,
              (from, to, thread) -> {
                float[] row = Kernels.row(n);
                for (int t = from; t < to; t++) {
                  pre.load(t, row);
                  Vectors.add(row, 0, b, 0, n);
                  activation.forward(row, n);
                  post.store(t, row);
                }
              });
    }

    @Override
    public Matrix backward(
        Matrix pre,
        @Nullable MemorySegment bias,
        Matrix gradient,
        @Nullable MemorySegment biasGradient) {
      int n = columns;
      float[] b = Kernels.bias(bias, n);
      float[][] sums = Kernels.sums(n);
      Workers.all()
          .forEach(
              pre.rows,
              (from, to, thread) -> {
                float[] row = Kernels.row(n);
                float[] d = Kernels.row(n);
                for (int t = from; t < to; t++) {
                  pre.load(t, row);
                  Vectors.add(row, 0, b, 0, n);
                  gradient.load(t, d);
                  activation.backward(row, d, n);
                  Vectors.add(sums[thread], 0, d, 0, n);
                  gradient.store(t, d);
                }
              });
      Kernels.flush(sums, biasGradient, n);
      return gradient;
    }
  }

  /** Computes {@code post = act(gate) * up}, where {@code pre + bias} is {@code [gate, up]}. */
  record Gated(int width, RowActivation activation) implements FeedForwardKernel {
    @Override
    public int columns() {
      return 2 * width;
    }

    @Override
    public void forward(Matrix pre, @Nullable MemorySegment bias, Matrix post) {
      int n = width;
      float[] b = Kernels.bias(bias, 2 * n);
      Workers.all()
          .forEach(
              pre.rows,
              (from, to, thread) -> {
                float[] gate = Kernels.row(n);
                float[] up = Kernels.row(n);
                for (int t = from; t < to; t++) {
                  load(pre, t, b, gate, up);
                  activation.forward(gate, n);
                  multiply(gate, up, n);
                  post.store(t, gate);
                }
              });
    }

    @Override
    public Matrix backward(
        Matrix pre,
        @Nullable MemorySegment bias,
        Matrix gradient,
        @Nullable MemorySegment biasGradient) {
      int n = width;
      float[] b = Kernels.bias(bias, 2 * n);
      float[][] sums = Kernels.sums(2 * n);
      Workers.all()
          .forEach(
              pre.rows,
              (from, to, thread) -> {
                float[] gate = Kernels.row(n);
                float[] up = Kernels.row(n);
                float[] d = Kernels.row(n);
                for (int t = from; t < to; t++) {
                  load(pre, t, b, gate, up);
                  gradient.load(t, d);
                  multiply(up, d, n);
                  activation.backward(gate, up, n); // up is now the gradient of gate
                  activation.forward(gate, n);
                  multiply(gate, d, n); // gate is now the gradient of up
                  Vectors.add(sums[thread], 0, up, 0, n);
                  Vectors.add(sums[thread], n, gate, 0, n);
                  pre.store(t, 0, up, 0, n);
                  pre.store(t, n, gate, 0, n);
                }
              });
      Kernels.flush(sums, biasGradient, 2 * n);
      return pre;
    }

    private void load(Matrix pre, int t, float[] bias, float[] gate, float[] up) {
      pre.load(t, 0, gate, 0, width);
      pre.load(t, width, up, 0, width);
      Vectors.add(gate, 0, bias, 0, width);
      Vectors.add(up, 0, bias, width, width);
    }

    private static void multiply(float[] a, float[] b, int n) {
      for (int i = 0; i < n; i++) {
        a[i] *= b[i];
      }
    }
  }
}
