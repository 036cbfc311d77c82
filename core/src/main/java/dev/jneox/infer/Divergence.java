package dev.jneox.infer;

import dev.jneox.io.Progress;
import dev.jneox.model.ModelSpec;
import java.util.Arrays;
import java.util.stream.IntStream;

/**
 * Compares what a model and a changed one, such as its quantised form, predict on a text. Both have
 * the same vocabulary.
 *
 * @param before how likely the model finds the text
 * @param after how likely the changed one finds it
 * @param meanKl mean over the tokens of the Kullback-Leibler divergence {@code sum p ln(p / q)} in
 *     nats, where p and q are the distributions that the two predict, p before the change
 * @param kl99 the smallest divergence that 99 of 100 tokens do not exceed
 * @param topAgreement share of the tokens at which both find the same token the likeliest
 */
public record Divergence(
    LogLikelihood before, LogLikelihood after, double meanKl, double kl99, double topAgreement) {
  /** Logits of each model that are held at a time: 32 MB. */
  private static final int HELD = 8 << 20;

  /** Most positions compared at a time. */
  private static final int MOST_ROWS = 256;

  /** Holds the logits of some positions in a row. */
  private static final class Rows implements Engine.LogitRows {
    final float[] logits;
    final double[] logSums;
    private final int width;
    private int first;

    Rows(int rows, int width) {
      this.width = width;
      logits = new float[rows * width];
      logSums = new double[rows];
    }

    /** Prepares for the rows that predict ids from {@code position} on. */
    void begin(int position) {
      first = position;
    }

    @Override
    public void take(int position, float[] from, int at, double logSum) {
      System.arraycopy(from, at, logits, (position - first) * width, width);
      logSums[position - first] = logSum;
    }
  }

  /**
   * Compares two models on every id but the first, by the windows of {@link Scorer}.
   *
   * @param model an engine of the model, its keys and values in fp32
   * @param changed an engine of the changed one
   * @param ids two or more
   * @param progress counts the ids
   * @throws dev.jneox.io.InputException if an id is past the vocabulary, or a model gives no
   *     numbers
   */
  public static Divergence of(Engine model, Engine changed, int[] ids, Progress progress) {
    ModelSpec spec = model.spec();
    Generation.checkIds(ids, spec);
    int width = spec.vocabulary().rows();
    int most = Math.clamp(HELD / width, 1, MOST_ROWS);
    Rows p = new Rows(most, width);
    Rows q = new Rows(most, width);
    int n = ids.length - 1;
    float[] before = new float[n];
    float[] after = new float[n];
    double[] divergences = new double[n];
    boolean[] agree = new boolean[n];
    // A file may state a context near the largest int, and the sums below would overflow.
    int context = Math.clamp(ids.length, 1, spec.maxPositions());
    int stride = Math.max(1, context / 2);
    int next = 1;
    for (int start = 0; next < ids.length; start += stride) {
      int windowEnd = Math.min(start + context + 1, ids.length);
      while (next < windowEnd) { // pieces of a window share its keys and values
        int end = Math.min(next + most, windowEnd);
        int[] piece = Arrays.copyOfRange(ids, start, end);
        read(model, piece, next - start, p, before, next - 1);
        read(changed, piece, next - start, q, after, next - 1);
        int first = next - 1;
        IntStream.range(0, end - next)
            .parallel()
            .forEach(
                i -> {
                  int at = i * width;
                  divergences[first + i] = divergence(p, q, i, width);
                  int used = spec.vocabulary().used();
                  agree[first + i] = top(p.logits, at, used) == top(q.logits, at, used);
                });
        progress.step(end - next);
        next = end;
      }
    }
    double sum = 0;
    int agreed = 0;
    for (int i = 0; i < n; i++) {
      sum += divergences[i];
      agreed += agree[i] ? 1 : 0;
    }
    Arrays.sort(divergences);
    return new Divergence(
        LogLikelihood.of(before),
        LogLikelihood.of(after),
        sum / n,
        divergences[Math.ceilDiv(99 * n, 100) - 1],
        (double) agreed / n);
  }

  private static void read(
      Engine engine, int[] ids, int from, Rows rows, float[] scores, int scoresAt) {
    rows.begin(from);
    int at = scoresAt;
    for (Token token : Scorer.scores(engine.submit(Scorer.request(ids, from), rows))) {
      scores[at] = Scorer.checked(token, at + 2);
      at++;
    }
  }

  private static double divergence(Rows p, Rows q, int row, int width) {
    double sum = 0;
    for (int i = row * width; i < (row + 1) * width; i++) {
      double logP = p.logits[i] - p.logSums[row];
      sum += Math.exp(logP) * (logP - (q.logits[i] - q.logSums[row]));
    }
    return Math.max(0, sum); // of equal distributions, the rounding of the sum may leave less
  }

  private static int top(float[] logits, int at, int n) {
    int best = 0;
    for (int i = 1; i < n; i++) {
      best = logits[at + i] > logits[at + best] ? i : best;
    }
    return best;
  }
}
