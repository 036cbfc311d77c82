package dev.jneox.eval;

import java.util.List;

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

  /**
   * Is several numbers, of which a function of the task's makes one.
   *
   * @param group of documents that the document belongs to; empty where the task has no groups
   */
  record Numbers(String group, List<Double> values) implements Measured {
    /** Copies the list. */
    public Numbers {
      values = List.copyOf(values);
    }
  }
}
