package dev.jneox.train;

import dev.jneox.io.DivergedException;

/**
 * Chooses the factor of the loss by which fp16 gradients neither vanish nor overflow, by
 * DeepSpeed's rules. An overflow uses up one of {@code hysteresis}; when none is left it halves the
 * scale. {@code window} steps in a row without an overflow double it. A step that overflowed is
 * skipped, and the learning-rate schedule does not count it.
 *
 * @param initial the first scale
 * @param window steps in a row without an overflow after which the scale doubles
 * @param hysteresis overflows it takes to halve the scale; refilled when the scale grows
 * @param minimum the least scale; an overflow at it ends the run
 * @param consecutive whether every step without an overflow refills the hysteresis, so that only
 *     overflows in a row count
 * @param dynamic whether the scale changes; if not, overflows are only counted
 */
public record LossScaler(
    double initial,
    int window,
    int hysteresis,
    double minimum,
    boolean consecutive,
    boolean dynamic) {

  /** Steps skipped in a row after which a run ends, as in GPT-NeoX. */
  public static final int MOST_SKIPS = 50;

  /**
   * Keeps what the rules remember between steps. A checkpoint saves it, so that a resumed run goes
   * on exactly.
   *
   * @param scale factor of the next step's loss
   * @param hysteresisLeft overflows until the scale is halved, at least 1
   * @param iteration steps seen, skipped ones too
   * @param lastOverflow iteration of the last overflow, -1 if there was none
   * @param skips steps skipped in a row up to now
   */
  public record State(
      double scale, int hysteresisLeft, long iteration, long lastOverflow, int skips) {}

  /** Makes a scale that never changes: 1 for bf16 and fp32. */
  public static LossScaler fixed(double scale) {
    return new LossScaler(scale, 1, 1, scale, false, false);
  }

  /** Returns the state before the first step. */
  public State start() {
    return new State(initial, hysteresis, 0, -1, 0);
  }

  /**
   * Returns the state after a step.
   *
   * @param overflow whether a gradient of the step was infinite or not a number
   * @throws DivergedException on an overflow at the minimum scale with no hysteresis left
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
