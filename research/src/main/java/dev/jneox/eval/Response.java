package dev.jneox.eval;

/** Is what a model gave for a {@link Request}. */
public sealed interface Response {
  /**
   * Scores a continuation or a text.
   *
   * @param logLikelihood the sum of the natural logarithms of the probabilities of its tokens
   * @param tokens that were scored
   * @param greedy whether each token was the likeliest; false for a whole text
   */
  record Score(double logLikelihood, int tokens, boolean greedy) implements Response {}

  /** Is a text that the model wrote. */
  record Written(String text) implements Response {}
}
