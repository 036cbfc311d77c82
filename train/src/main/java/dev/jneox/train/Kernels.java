package dev.jneox.train;

import dev.jneox.kernel.Vectors;
import dev.jneox.kernel.Workers;
import dev.jneox.torch.Matrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Computes what a training step does between two matrix products: embedding, bias, residual and
 * loss, each in one pass over the rows. {@link NormKernel}, {@link FeedForwardKernel} and {@link
 * CausalAttention} compute the rest. Each thread has its own sums over rows (gradients of biases
 * and norms), which are added in thread order, so that a step gives the same bits every time. Rows
 * are tokens; shapes are {@code [tokens, width]}.
 */
final class Kernels {
  private static final Workers WORKERS = Workers.all();

  private Kernels() {}

  /** Makes zeros for the sums of a gradient of {@code n} values, a row per thread. */
  static float[][] sums(int n) {
    return new float[WORKERS.count()][Vectors.padded(n)];
  }

  /** Adds the sums of all threads to {@code gradient}, unless it is null. */
  static void flush(float[][] sums, @Nullable MemorySegment gradient, int n) {
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

  /** Makes a row of {@code n} values, padded to whole vectors. */
  static float[] row(int n) {
    return new float[Vectors.padded(n)];
  }

  static float[] vector(MemorySegment values, int n) {
    float[] v = row(n);
    MemorySegment.copy(values, ValueLayout.JAVA_FLOAT, 0, v, 0, n);
    return v;
  }

  /** Copies a bias of {@code n} values; zeros where it is null. */
  static float[] bias(@Nullable MemorySegment bias, int n) {
    return bias == null ? row(n) : vector(bias, n);
  }

  /**
   * Computes {@code x[t] = table[ids[t]] + places[positions[t]]}, or without a null {@code places};
   * {@code table[ids[t]]} is zero for a negative id.
   */
  static void embed(Matrix table, int[] ids, @Nullable Matrix places, int[] positions, Matrix x) {
    WORKERS.forEach(
        x.rows,
        (from, to, thread) -> {
          float[] row = row(x.cols);
          float[] place = row(x.cols);
          for (int t = from; t < to; t++) {
            if (ids[t] < 0) {
              Arrays.fill(row, 0);
            } else {
              table.load(ids[t], row);
            }
            if (places != null) {
              places.load(positions[t], place);
              add(row, place, x.cols);
            }
            x.store(t, row);
          }
        });
  }

  /**
   * Computes {@code gradient[ids[t]] += dx[t]}, both fp32, but for negative ids. Each thread has
   * some of the columns, so that additions keep the order of the tokens.
   */
  static void embedBackward(Matrix dx, int[] ids, Matrix gradient) {
    int width = dx.cols;
    MemorySegment from = dx.data();
    MemorySegment into = gradient.data();
    WORKERS.forEach(
        width,
        (first, last, thread) -> {
          for (int t = 0; t < dx.rows; t++) {
            if (ids[t] < 0) {
              continue;
            }
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
   * Copies between precisions, and adds the column sums of {@code from} to each bias gradient that
   * is not null.
   */
  static void castAndSum(Matrix from, Matrix into, @Nullable MemorySegment... biasGradients) {
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
   * Computes {@code out = x + branch1 + bias1 + branch2 + bias2}; {@code out} may be {@code x}.
   *
   * @param bias1 null for none
   * @param branch2 null for none
   * @param bias2 null for none
   */
  static void residual(
      Matrix x,
      Matrix branch1,
      @Nullable MemorySegment bias1,
      @Nullable Matrix branch2,
      @Nullable MemorySegment bias2,
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
   * Computes the loss of each row, {@code -ln softmax(logits)[label]}. With {@code scale} above 0
   * the logits are replaced by their gradient, {@code scale * weight * (softmax - onehot)}.
   *
   * @param bias added to the logits; null for none
   * @param biasGradient gets the gradient of {@code bias} added
   * @param labels that of row {@code t} is at {@code first + t}; a row with a negative one has
   *     weight 0
   * @param weights that of row {@code t} is at {@code first + t}; null where all are 1
   * @return the sum of weight times loss over the rows, in nats
   */
  static double loss(
      Matrix logits,
      @Nullable MemorySegment bias,
      @Nullable MemorySegment biasGradient,
      int[] labels,
      float @Nullable [] weights,
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

  /** Adds {@code from} to {@code into}, which is fp32 and of the same shape. */
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
