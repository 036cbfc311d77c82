package dev.jneox.infer;

/**
 * Sums up the scores of a text.
 *
 * @param tokens that have a score
 * @param sum of the natural logarithms of their probabilities
 */
public record LogLikelihood(int tokens, double sum) {
  /** Sums up scores, as {@link Scorer#logProbabilities(int[])} gives them. */
  public static LogLikelihood of(float[] logProbabilities) {
    double sum = 0;
    for (float score : logProbabilities) {
      sum += score;
    }
    return new LogLikelihood(logProbabilities.length, sum);
  }

  /** Returns the mean of a token; the loss in nats per token is its negative. */
  public double mean() {
    return sum / tokens;
  }

  /** Returns {@code exp(-mean)}. */
  public double perplexity() {
    return Math.exp(-mean());
  }
}
