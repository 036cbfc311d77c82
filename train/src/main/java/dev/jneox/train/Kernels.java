package dev.jneox.train;

import dev.jneox.kernel.Vectors;
import dev.jneox.kernel.Workers;
import dev.jneox.torch.Matrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/**
 * Computes what lies between two matrix products of a training step, each as one pass over the
 * rows: embedding, bias, residual, and the loss (see also {@link NormKernel}, {@link
 * FeedForwardKernel}). Every sum over rows (the gradients of biases and norms) is kept per thread
 * and added in thread order, so a step gives the same bits every time. Rows are tokens; shapes are
 * {@code [tokens, width]}.
 */
final class Kernels {
  private static final Workers WORKERS = Workers.all();

  private Kernels() {}

  /** A gradient vector's running sums, one row per thread. */
  static float[][] sums(int n) {
    return new float[WORKERS.count()][Vectors.padded(n)];
  }

  /** {@code gradient += } the sums of all threads; nothing where {@code gradient} is null. */
  static void flush(float[][] sums, MemorySegment gradient, int n) {
    if (gradient == null) {
      return;
    }
    for (int i = 0; i < n; i++) {
      float s = gradient.getAtIndex(ValueLayout.JAVA_FLOAT, i);
      for (float[] sum : sums) {
        s += sum[i];
      }
      gradient.setAtIndex(ValueLayout.JAVA_FLOAT, i, s);
    }
  }

  /** A row that loops may run over in whole vectors. */
  static float[] row(int n) {
    return new float[Vectors.padded(n)];
  }

  static float[] vector(MemorySegment values, int n) {
    float[] v = row(n);
    MemorySegment.copy(values, ValueLayout.JAVA_FLOAT, 0, v, 0, n);
    return v;
  }

  /** A bias of {@code n} values; zeros where it is null. */
  static float[] bias(MemorySegment bias, int n) {
    return bias == null ? row(n) : vector(bias, n);
  }

  /** {@code x[t] = table[ids[t]] + places[positions[t]]}; {@code places} may be null. */
  static void embed(Matrix table, int[] ids, Matrix places, int[] positions, Matrix x) {
    WORKERS.forEach(
        x.rows,
        (from, to, thread) -> {
          float[] row = row(x.cols);
          float[] place = row(x.cols);
          for (int t = from; t < to; t++) {
            table.load(ids[t], row);
            if (places != null) {
              places.load(positions[t], place);
              add(row, place, x.cols);
            }
            x.store(t, row);
          }
        });
  }

  /**
   * {@code gradient[ids[t]] += dx[t]}, both fp32; threads share the columns so that additions keep
   * the order of the tokens.
   */
  static void embedBackward(Matrix dx, int[] ids, Matrix gradient) {
    int width = dx.cols;
    MemorySegment from = dx.data();
    MemorySegment into = gradient.data();
    WORKERS.forEach(
        width,
        (first, last, thread) -> {
          for (int t = 0; t < dx.rows; t++) {
            long source = (long) t * width;
            long target = (long) ids[t] * width;
            for (int c = first; c < last; c++) {
              into.setAtIndex(
                  ValueLayout.JAVA_FLOAT,
                  target + c,
                  into.getAtIndex(ValueLayout.JAVA_FLOAT, target + c)
                      + from.getAtIndex(ValueLayout.JAVA_FLOAT, source + c));
            }
          }
        });
  }

  /** Copies between precisions. */
  static void cast(Matrix from, Matrix into) {
    WORKERS.forEach(
        from.rows,
        (first, last, thread) -> {
          float[] row = row(from.cols);
          for (int t = first; t < last; t++) {
            from.load(t, row);
            into.store(t, row);
          }
        });
  }

  /**
   * {@link #cast}, and the column sums of {@code from} are added to each bias gradient that is not
   * null.
   */
  static void castAndSum(Matrix from, Matrix into, MemorySegment... biasGradients) {
    int n = from.cols;
    float[][] db = sums(n);
    WORKERS.forEach(
        from.rows,
        (first, last, thread) -> {
          float[] row = row(n);
          float[] sum = db[thread];
          for (int t = first; t < last; t++) {
            from.load(t, row);
            into.store(t, row);
            for (int i = 0; i < n; i++) {
              sum[i] += row[i];
            }
          }
        });
    for (MemorySegment gradient : biasGradients) {
      flush(db, gradient, n);
    }
  }

  private static void add(float[] a, float[] b, int n) {
    Vectors.add(a, 0, b, 0, n);
  }

  /**
   * {@code out = x + branch + bias}, twice in one pass where there are two branches; {@code out}
   * may be {@code x}.
   */
  static void residual(
      Matrix x,
      Matrix branch1,
      MemorySegment bias1,
      Matrix branch2,
      MemorySegment bias2,
      Matrix out) {
    int n = x.cols;
    float[] b = bias(bias1, n);
    if (bias2 != null) {
      add(b, vector(bias2, n), n);
    }
    WORKERS.forEach(
        x.rows,
        (from, to, thread) -> {
          float[] sum = row(n);
          float[] row = row(n);
          for (int t = from; t < to; t++) {
            branch1.load(t, sum);
            if (branch2 != null) {
              branch2.load(t, row);
              add(sum, row, n);
            }
            add(sum, b, n);
            x.load(t, row);
            add(sum, row, n);
            out.store(t, sum);
          }
        });
  }

  /**
   * The loss of each row of logits against its label, {@code -ln softmax(logits)[label]}; labels
   * below 0 count nothing. With {@code scale} above 0 the logits are replaced by their gradient,
   * {@code scale * weight * (softmax - onehot)}.
   *
   * @param bias added to the logits, or null; its gradient is added to {@code biasGradient}
   * @param labels from {@code first} on, one a row
   * @param weights null, or how much each row's loss counts, from {@code first} on
   * @return the sum of weight times loss over the rows
   */
  static double loss(
      Matrix logits,
      MemorySegment bias,
      MemorySegment biasGradient,
      int[] labels,
      float[] weights,
      int first,
      float scale) {
    int n = logits.cols;
    double[] losses = new double[logits.rows];
    float[] b = bias == null ? null : vector(bias, n);
    float[][] db = bias == null ? null : sums(n);
    WORKERS.forEach(
        logits.rows,
        (from, to, thread) -> {
          float[] row = row(n);
          for (int t = from; t < to; t++) {
            int label = labels[first + t];
            float weight = label < 0 ? 0 : weights == null ? 1 : weights[first + t];
            logits.load(t, row);
            if (weight == 0) {
              Arrays.fill(row, 0, n, 0);
            } else {
              if (b != null) {
                add(row, b, n);
              }
              float max = Vectors.max(row, 0, n);
              float target = row[label];
              float sum = Vectors.expAndSum(row, 0, max, n);
              losses[t] = weight * (Math.log(sum) + max - target);
              float factor = scale * weight / sum;
              for (int i = 0; i < n; i++) {
                row[i] *= factor;
              }
              row[label] -= scale * weight;
            }
            if (scale > 0) {
              logits.store(t, row);
              if (db != null) {
                add(db[thread], row, n);
              }
            }
          }
        });
    if (db != null && scale > 0) {
      flush(db, biasGradient, n);
    }
    return Arrays.stream(losses).sum();
  }

  /** {@code into += from}, elementwise; {@code into} is fp32 and of {@code from}'s shape. */
  static void accumulate(Matrix from, MemorySegment into) {
    int n = from.cols;
    WORKERS.forEach(
        from.rows,
        (first, last, thread) -> {
          float[] row = row(n);
          float[] sum = row(n);
          for (int t = first; t < last; t++) {
            from.load(t, row);
            MemorySegment.copy(into, ValueLayout.JAVA_FLOAT, (long) t * n * 4, sum, 0, n);
            add(sum, row, n);
            MemorySegment.copy(sum, 0, into, ValueLayout.JAVA_FLOAT, (long) t * n * 4, n);
          }
        });
  }
}
