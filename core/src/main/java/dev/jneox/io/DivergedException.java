package dev.jneox.io;

import org.jspecify.annotations.Nullable;

/** Reports that training diverged: a loss or gradient is no longer finite, or too large. */
public final class DivergedException extends JneoxException {
  private final long iteration;
  private final double loss;
  private final double gradientNorm;

  /**
   * Creates the error for a run that stops after an iteration.
   *
   * @param iteration from 1
   * @param loss mean loss of the batch, in nats per token; NaN also where unknown
   * @param gradientNorm before clipping, with the loss scale removed; NaN also where unknown
   */
  public DivergedException(String message, long iteration, double loss, double gradientNorm) {
    this(message, null, iteration, loss, gradientNorm);
  }

  private DivergedException(
      String message, @Nullable Throwable cause, long iteration, double loss, double gradientNorm) {
    super(message, cause);
    this.iteration = iteration;
    this.loss = loss;
    this.gradientNorm = gradientNorm;
  }

  @Override
  public DivergedException withMessage(String message) {
    return new DivergedException(message, this, iteration, loss, gradientNorm);
  }

  /** Returns the iteration after which the run stopped, from 1. */
  public long iteration() {
    return iteration;
  }

  /** Returns the mean loss of the batch in nats per token; NaN also where it is unknown. */
  public double loss() {
    return loss;
  }

  /**
   * Returns the gradient norm before clipping, with the loss scale removed; NaN also where it is
   * unknown.
   */
  public double gradientNorm() {
    return gradientNorm;
  }
}
