package dev.jneox.eval;

/** Is what one document adds to a metric: an {@link Aggregation} makes one number of all. */
public sealed interface Measured {
  /** Is a number, such as 1 for a right answer. */
  record Value(double value) implements Measured {}

  /** Adds to a sum and to what it is divided by: a log-likelihood and the words it is of. */
  record Ratio(double value, double weight) implements Measured {}

  /** Compares a class with the one that the model chose. */
  record Label(long gold, long predicted) implements Measured {}

  /**
   * Compares a class with the probabilities that the model gives to all.
   *
   * @param probabilities of the classes; they add up to 1
   */
  record Distribution(int gold, double[] probabilities) implements Measured {}
}
