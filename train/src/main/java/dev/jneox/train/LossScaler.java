package dev.jneox.train;

import dev.jneox.io.DivergedException;

/**
 * The rules by which the loss is scaled so that fp16 gradients neither vanish nor overflow;
 * DeepSpeed's. An overflow uses up hysteresis and, when there is none left, halves the scale;
 * {@code window} clean steps in a row double it. The step that overflowed is skipped, and so is its
 * learning-rate step.
 *
 * @param initial the first scale
 * @param window clean steps before the scale doubles
 * @param hysteresis overflows it takes to halve the scale; refilled when the scale grows
 * @param minimum the scale is never below; an overflow at it ends the run
 * @param consecutive hysteresis is refilled by every clean step, so only overflows in a row count
 * @param dynamic false: the scale stays what it is, overflows are only counted
 */
public record LossScaler(
    double initial,
    int window,
    int hysteresis,
    double minimum,
    boolean consecutive,
    boolean dynamic) {

  /** GPT-NeoX stops a run that skips so many steps in a row. */
  public static final int MOST_SKIPS = 50;

  /**
   * Where the rules stand after some steps: all there is to save for an exact resume.
   *
   * @param scale what the next step's loss is multiplied with
   * @param hysteresisLeft overflows until the scale is halved, at least 1
   * @param iteration steps seen, skipped ones too
   * @param lastOverflow iteration of the last overflow, -1 if there was none
   * @param skips steps skipped in a row up to now
   */
  public record State(
      double scale, int hysteresisLeft, long iteration, long lastOverflow, int skips) {}

  /** A scale that never changes; 1 is for bf16 and fp32. */
  public static LossScaler fixed(double scale) {
    return new LossScaler(scale, 1, 1, scale, false, false);
  }

  public State start() {
    return new State(initial, hysteresis, 0, -1, 0);
  }

  /**
   * The state after a step.
   *
   * @param overflow whether a gradient of the step was infinite or not a number
   * @throws DivergedException on an overflow at the minimum scale with no hysteresis left: no scale
   *     fits
   */
  public State after(State s, boolean overflow) {
    double scale = s.scale;
    int left = s.hysteresisLeft;
    if (dynamic && overflow) {
      if (left > 1) {
        left--;
      } else if (scale == minimum) {
        throw new DivergedException(
            "step "
                + s.iteration
                + ": gradients overflow at the minimum loss scale "
                + minimum
                + ": the loss diverged; lower the learning rate, or train in bfloat16",
            s.iteration + 1,
            Double.NaN,
            Double.NaN);
      } else {
        scale = Math.max(scale / 2, minimum);
      }
    } else if (dynamic) {
      boolean grow = (s.iteration - s.lastOverflow) % window == 0;
      left = grow || consecutive ? hysteresis : left;
      scale = grow ? scale * 2 : scale;
    }
    return new State(
        scale,
        left,
        s.iteration + 1,
        overflow ? s.iteration : s.lastOverflow,
        overflow ? s.skips + 1 : 0);
  }
}
