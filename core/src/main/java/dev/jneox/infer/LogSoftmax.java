package dev.jneox.infer;

import dev.jneox.infer.Token.Candidate;
import dev.jneox.kernel.Vectors;
import java.util.ArrayList;
import java.util.List;

/**
 * Turns logits in fp32 into log-probabilities in double. Sums are taken in a fixed order: the same
 * logits give the same bits.
 */
final class LogSoftmax {
  private LogSoftmax() {}

  /**
   * Returns {@code ln(sum(e^x))} over {@code n} logits from {@code at} on, within a few ulp; NaN if
   * one of them is NaN or infinite. A logit less it is a log-probability.
   */
  static double logSumOfExp(float[] logits, int at, int n) {
    return Vectors.logSumOfExp(logits, at, n);
  }

  /**
   * Returns the largest {@code n} of the first {@code used} logits as log-probabilities, or all if
   * there are fewer.
   *
   * @param logSum of {@link #logSumOfExp} over all logits
   */
  static List<Candidate> top(float[] logits, int at, int used, int n, double logSum) {
    int[] best = new int[Math.min(n, used)];
    int count = 0;
    for (int id = 0; id < used && best.length > 0; id++) {
      float logit = logits[at + id];
      if (count == best.length && !(logit > logits[at + best[count - 1]])) {
        continue;
      }
      int i = count < best.length ? count++ : count - 1;
      for (; i > 0 && logit > logits[at + best[i - 1]]; i--) {
        best[i] = best[i - 1];
      }
      best[i] = id;
    }
    List<Candidate> top = new ArrayList<>(count);
    for (int i = 0; i < count; i++) {
      top.add(new Candidate(best[i], logits[at + best[i]] - logSum));
    }
    return top;
  }
}
