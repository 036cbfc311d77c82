package dev.jneox.io;

import org.jspecify.annotations.Nullable;

/** Says that a training run can no longer come to anything: its numbers have left their range. */
public final class DivergedException extends JneoxException {
  private final long iteration;
  private final double loss;
  private final double gradientNorm;

  /**
   * Makes the error of a run that ends after an iteration.
   *
   * @param iteration from 1
   * @param loss of its batch, in nats a token; NaN also where it is not known
   * @param gradientNorm before clipping, loss scale taken out; NaN also where it is not known
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

  /** Returns the iteration after which the run ended, from 1. */
  public long iteration() {
    return iteration;
  }

  /** Returns the mean loss of its batch, in nats a token; NaN also where it is not known. */
  public double loss() {
    return loss;
  }

  /**
   * Returns its gradient norm before clipping, loss scale taken out; NaN also where it is not
   * known.
   */
  public double gradientNorm() {
    return gradientNorm;
  }
}
