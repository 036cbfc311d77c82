package dev.jneox.train;

import dev.jneox.io.DivergedException;

/** Ends a run whose gradients are not finite, or overflow in too many steps in a row. */
final class DivergenceCheck implements TrainingCallback {
  private final boolean scaled;

  /**
   * Makes the check.
   *
   * @param scaled whether the loss is scaled (fp16), so that a single step may overflow
   */
  DivergenceCheck(boolean scaled) {
    this.scaled = scaled;
  }

  @Override
  public void afterStep(Trainer trainer, Trainer.Step step) {
    if (!Double.isFinite(step.gradientNorm()) && !scaled) {
      throw new DivergedException(
          "iteration "
              + step.iteration()
              + ": the gradient norm is "
              + step.gradientNorm()
              + " and the loss "
              + step.loss()
              + trainer.replayed()
              + ": the run diverged; lower the learning rate",
          step.iteration(),
          step.loss(),
          step.gradientNorm());
    }
    int skips = trainer.state().scaler().skips();
    if (skips >= LossScaler.MOST_SKIPS) {
      throw new DivergedException(
          "iteration "
              + step.iteration()
              + ": the last "
              + skips
              + " iterations overflowed and were skipped, at loss scale "
              + step.lossScale()
              + " now",
          step.iteration(),
          step.loss(),
          step.gradientNorm());
    }
  }
}
