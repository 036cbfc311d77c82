package dev.jneox.train;

import dev.jneox.kernel.Vectors;
import dev.jneox.kernel.Workers;
import dev.jneox.torch.Matrix;
import dev.jneox.torch.TensorParallel;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Computes what {@link Kernels#loss} does where each rank has the logits of some ids only. The
 * ranks exchange two numbers a row for the softmax and one for the label's logit.
 */
final class SplitLoss {
  private final TensorParallel ranks;

  SplitLoss(TensorParallel ranks) {
    this.ranks = ranks;
  }

  /**
   * Computes the loss of each row, and with {@code scale} above 0 replaces the logits by their
   * gradient. The parameters are those of {@link Kernels#loss}.
   *
   * @param labels of all ids; negative for a row of weight 0
   * @param columns for each label its column here; negative where another rank has it
   */
  double loss(
      Matrix logits,
      @Nullable MemorySegment bias,
      @Nullable MemorySegment biasGradient,
      int[] labels,
      int[] columns,
      float @Nullable [] weights,
      int first,
      float scale) {
    int n = logits.cols;
    int rows = logits.rows;
    float[] b = Kernels.bias(bias, n);
    float[] own = new float[rows]; // the largest logit here
    float[] sums = new float[2 * rows]; // of exponentials, and the label's logit
    Workers.all()
        .forEach(
            rows,
            (from, to, thread) -> {
              float[] row = Kernels.row(n);
              for (int t = from; t < to; t++) {
                load(logits, t, b, row);
                int column = columns[first + t];
                sums[rows + t] = column < 0 ? 0 : row[column];
                own[t] = Vectors.max(row, 0, n);
                sums[t] = Vectors.expAndSum(row, 0, own[t], n);
              }
            });
    float[] max = own.clone();
    ranks.max(max);
    for (int t = 0; t < rows; t++) {
      sums[t] *= (float) Math.exp(own[t] - max[t]);
    }
    ranks.sum(sums);
    double[] losses = new double[rows];
    for (int t = 0; t < rows; t++) {
      float weight = weight(labels, weights, first + t);
      if (weight != 0) {
        losses[t] = weight * (Math.log(sums[t]) + max[t] - sums[rows + t]);
      }
    }
    if (scale > 0) {
      float[][] db = Kernels.sums(n);
      Workers.all()
          .forEach(
              rows,
              (from, to, thread) -> {
                float[] row = Kernels.row(n);
                for (int t = from; t < to; t++) {
                  float weight = weight(labels, weights, first + t);
                  if (weight == 0) {
                    Arrays.fill(row, 0);
                  } else {
                    load(logits, t, b, row);
                    Vectors.expAndSum(row, 0, max[t], n);
                    Vectors.multiply(row, 0, scale * weight / sums[t], n);
                    int column = columns[first + t];
                    if (column >= 0) {
                      row[column] -= scale * weight;
                    }
                  }
                  logits.store(t, row);
                  Vectors.add(db[thread], 0, row, 0, n);
                }
              });
      Kernels.flush(db, biasGradient, n);
    }
    return Arrays.stream(losses).sum();
  }

  private static void load(Matrix logits, int t, float[] bias, float[] row) {
    logits.load(t, row);
    Vectors.add(row, 0, bias, 0, logits.cols);
  }

  private static float weight(int[] labels, float @Nullable [] weights, int t) {
    return labels[t] < 0 ? 0 : weights == null ? 1 : weights[t];
  }
}
