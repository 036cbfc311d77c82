package dev.jneox.train;

import dev.jneox.kernel.Vectors;
import dev.jneox.kernel.Workers;
import dev.jneox.model.Norm;
import dev.jneox.torch.Matrix;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Normalises the rows of a matrix, forward and backward, in fp32. One pass can serve several
 * readers, each with its own weights. Each thread has its own sums over rows, which are added in
 * thread order.
 */
final class NormKernel {
  /** Holds a reader's weights and their gradients; the bias and its gradient may be null. */
  record Weights(
      MemorySegment weight,
      @Nullable MemorySegment bias,
      MemorySegment weightGradient,
      @Nullable MemorySegment biasGradient) {}

  /** Holds what the backward pass needs: {@code [tokens]} each; the means of an RMSNorm are 0. */
  record Statistics(float[] mean, float[] inverseDeviation) {
    Statistics(int tokens) {
      this(new float[tokens], new float[tokens]);
    }
  }

  private final double eps;
  private final boolean centred; // whether the mean is subtracted
  private final List<Weights> readers;

  NormKernel(Norm norm, Weights... readers) {
    this(
        norm.eps(),
        switch (norm) {
          case Norm.Layer _ -> true;
          case Norm.Rms _ -> false;
        },
        List.of(readers));
  }

  private NormKernel(double eps, boolean centred, List<Weights> readers) {
    this.eps = eps;
    this.centred = centred;
    this.readers = readers;
  }

  /**
   * Returns the same norm, which adds the gradients of its weights to rows of a matrix: of each
   * reader that of the weight and that of the bias.
   *
   * @param row the first
   */
  NormKernel addingTo(Matrix gradients, int row) {
    List<Weights> others = new ArrayList<>();
    for (int r = 0; r < readers.size(); r++) {
      Weights reader = readers.get(r);
      others.add(
          new Weights(
              reader.weight,
              reader.bias,
              row(gradients, row + 2 * r),
              reader.bias == null ? null : row(gradients, row + 2 * r + 1)));
    }
    return new NormKernel(eps, centred, others);
  }

  /** Adds rows that {@link #addingTo} has filled to the gradients of the weights. */
  void addGradients(Matrix gradients, int row) {
    for (int r = 0; r < readers.size(); r++) {
      Weights reader = readers.get(r);
      Kernels.accumulate(gradients.slice(row + 2 * r, 1), reader.weightGradient);
      if (reader.biasGradient != null) {
        Kernels.accumulate(gradients.slice(row + 2 * r + 1, 1), reader.biasGradient);
      }
    }
  }

  private static MemorySegment row(Matrix matrix, int row) {
    long bytes = 4L * matrix.cols;
    return matrix.data().asSlice(row * bytes, bytes);
  }

  /** Computes {@code y[r] = normed x * weight + bias} for reader r; fills {@code statistics}. */
  void forward(Matrix x, Statistics statistics, Matrix... y) {
    int n = x.cols;
    float[][] w = new float[y.length][];
    float[][] b = new float[y.length][];
    for (int r = 0; r < y.length; r++) {
      w[r] = Kernels.vector(readers.get(r).weight, n);
      b[r] = Kernels.bias(readers.get(r).bias, n);
    }
    Workers.all()
        .forEach(
            x.rows,
            (from, to, thread) -> {
              float[] row = Kernels.row(n);
              float[] out = Kernels.row(n);
              for (int t = from; t < to; t++) {
                x.load(t, row);
                float mean = centred ? Vectors.sum(row, 0, n) / n : 0;
                float inverse = (float) (1 / Math.sqrt(Vectors.squares(row, 0, mean, n) / n + eps));
                statistics.mean[t] = mean;
                statistics.inverseDeviation[t] = inverse;
                normalise(row, mean, inverse, n);
                for (int r = 0; r < y.length; r++) {
                  scaleAndShift(row, w[r], b[r], out, n);
                  y[r].store(t, out);
                }
              }
            });
  }

  private static void normalise(float[] row, float mean, float inverse, int n) {
    for (int i = 0; i < n; i++) {
      row[i] = (row[i] - mean) * inverse;
    }
  }

  private static void scaleAndShift(float[] x, float[] w, float[] b, float[] out, int n) {
    for (int i = 0; i < n; i++) {
      out[i] = x[i] * w[i] + b[i];
    }
  }

  /**
   * Adds to {@code dx} (fp32) the gradient through {@link #forward}, and to the weights' gradients.
   *
   * @param dy gradients of the outputs, one per reader
   */
  void backward(Matrix x, Statistics statistics, Matrix dx, Matrix... dy) {
    int n = x.cols;
    float[][] w = new float[dy.length][];
    float[][][] dw = new float[dy.length][][];
    float[][][] db = new float[dy.length][][];
    for (int r = 0; r < dy.length; r++) {
      w[r] = Kernels.vector(readers.get(r).weight, n);
      dw[r] = Kernels.sums(n);
      db[r] = Kernels.sums(n);
    }
    Workers.all()
        .forEach(
            x.rows,
            (from, to, thread) -> {
              float[] normed = Kernels.row(n);
              float[] gradient = Kernels.row(n);
              float[] d = Kernels.row(n);
              float[] sum = Kernels.row(n);
              for (int t = from; t < to; t++) {
                x.load(t, normed);
                float inverse = statistics.inverseDeviation[t];
                normalise(normed, statistics.mean[t], inverse, n);
                Arrays.fill(d, 0);
                for (int r = 0; r < dy.length; r++) {
                  dy[r].load(t, gradient);
                  through(normed, gradient, w[r], dw[r][thread], db[r][thread], d, n);
                }
                float meanD = centred ? Vectors.sum(d, 0, n) / n : 0;
                float meanDx = Vectors.dot(d, 0, normed, 0, n) / n;
                dx.load(t, sum);
                for (int i = 0; i < n; i++) {
                  sum[i] += inverse * (d[i] - meanD - normed[i] * meanDx);
                }
                dx.store(t, sum);
              }
            });
    for (int r = 0; r < dy.length; r++) {
      Kernels.flush(dw[r], readers.get(r).weightGradient, n);
      Kernels.flush(db[r], readers.get(r).biasGradient, n);
    }
  }

  private static void through(
      float[] normed, float[] dy, float[] w, float[] dw, float[] db, float[] d, int n) {
    for (int i = 0; i < n; i++) {
      dw[i] += dy[i] * normed[i];
      db[i] += dy[i];
      d[i] += dy[i] * w[i];
    }
  }
}
