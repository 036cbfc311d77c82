package dev.jneox.eval;

import java.util.OptionalDouble;

/**
 * Is one number of a task or a group.
 *
 * @param metric such as {@code acc}
 * @param filter of responses; {@code none} where the task has none of its own
 * @param standardError empty where there is none
 */
public record Score(
    String metric,
    String filter,
    double value,
    OptionalDouble standardError,
    boolean higherIsBetter) {
  /** Returns the name that results have it under: {@code acc,none}. */
  public String key() {
    return metric + "," + filter;
  }

  /** Returns the name of its standard error: {@code acc_stderr,none}. */
  public String errorKey() {
    return metric + "_stderr," + filter;
  }
}
