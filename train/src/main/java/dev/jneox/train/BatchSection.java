package dev.jneox.train;

import dev.jneox.io.InputException;

/**
 * States the sequences of an optimizer step: {@code total = micro x accumulation x data}, where
 * data is the number of model copies. A configuration that states two of the three sizes gives the
 * third. With one of {@code total} and {@code micro} alone, {@code accumulation} is 1.
 *
 * @param total sequences of all processes and accumulation steps
 * @param micro sequences of one forward pass of one process
 * @param accumulation forward passes of a process per step
 */
public record BatchSection(int total, int micro, int accumulation) {
  private static final String TOTAL = "train_batch_size";
  private static final String MICRO = "train_micro_batch_size_per_gpu";
  private static final String STEPS = "gradient_accumulation_steps";

  static BatchSection of(Settings s, int data) {
    if (!s.given(TOTAL) && !s.given(MICRO)) {
      throw s.wrong(MICRO, "is required: set it or " + TOTAL);
    }
    if (!s.given(TOTAL)) {
      int micro = s.integer(MICRO);
      int steps = s.maybeInteger(STEPS).orElse(1);
      long total = (long) micro * steps * data;
      if (total > Integer.MAX_VALUE) {
        throw s.wrong(MICRO, equation(total, micro, steps, data) + " is too large");
      }
      return new BatchSection((int) total, micro, steps);
    }
    int total = s.integer(TOTAL);
    if (!s.given(MICRO)) {
      int steps = s.maybeInteger(STEPS).orElse(1);
      return new BatchSection(
          total, divide(s, total, steps, data, equation(total, "?", steps, data)), steps);
    }
    int micro = s.integer(MICRO);
    if (!s.given(STEPS)) {
      return new BatchSection(
          total, micro, divide(s, total, micro, data, equation(total, micro, "?", data)));
    }
    int steps = s.integer(STEPS);
    long product = (long) micro * steps * data;
    if (product != total) {
      throw contradiction(
          s,
          equation(total, micro, steps, data),
          "the right side is "
              + product
              + "; set "
              + TOTAL
              + " to that, or leave out "
              + STEPS
              + " or "
              + MICRO);
    }
    return new BatchSection(total, micro, steps);
  }

  /** Returns the micro-batches of a step, those of all processes. */
  public int microBatches() {
    return total / micro;
  }

  private static int divide(Settings s, int total, int known, int data, String equation) {
    long product = (long) known * data;
    if (total % product != 0) {
      throw contradiction(
          s,
          equation,
          "no whole number fits; make "
              + TOTAL
              + " a multiple of "
              + product
              + nearest(total, known, data));
    }
    return Math.toIntExact(total / product);
  }

  /** Names the numbers of copies next to {@code data} with which the batch divides. */
  private static String nearest(int total, int known, int data) {
    if (data == 1 || total % known != 0) {
      return "";
    }
    int copies = total / known;
    String below = "";
    for (int d = data - 1; d > 1 && below.isEmpty(); d--) {
      below = copies % d == 0 ? d + "" : "";
    }
    String above = "";
    for (int d = data + 1; d <= copies && above.isEmpty(); d++) {
      above = copies % d == 0 ? d + "" : "";
    }
    String either = below + (below.isEmpty() || above.isEmpty() ? "" : " or ") + above;
    return either.isEmpty() ? "" : ", or run " + either + " copies";
  }

  private static InputException contradiction(Settings s, String equation, String remedy) {
    return s.wrong(TOTAL, equation + " does not hold: " + remedy);
  }

  private static String equation(long total, Object micro, Object steps, int data) {
    return TOTAL
        + " "
        + total
        + " = "
        + MICRO
        + " "
        + micro
        + " x "
        + STEPS
        + " "
        + steps
        + " x data-parallel copies "
        + data;
  }
}
