package dev.jneox.train;

import java.nio.file.Path;
import java.util.Map;

/**
 * Hears of the events of a training run, to print, measure or save. The loop calls all callbacks on
 * its own thread: first those of the caller in the order given, then evaluation, metrics,
 * divergence check and saving.
 */
public interface TrainingCallback {
  /** Called before the first step. */
  default void atStart(Trainer trainer) {}

  /**
   * Called after each micro-batch of a step but the last; a step may take minutes.
   *
   * @param iteration of the step, from 1
   * @param done micro-batches of the step that are done
   * @param of micro-batches of the step
   * @param seconds since the step began
   */
  default void afterMicroBatch(int iteration, int done, int of, double seconds) {}

  /**
   * Called after each step, also one that was skipped because its gradients overflowed or leapt.
   */
  default void afterStep(Trainer trainer, Trainer.Step step) {}

  /**
   * Called after a validation, and after the test at the end of the run.
   *
   * @param name {@code validation} or {@code test}
   * @param iteration steps done
   * @param loss in nats per token
   */
  default void afterEvaluation(String name, int iteration, double loss) {}

  /**
   * Called with what a callback measured beside the losses; see {@link Trainer#report}.
   *
   * @param iteration steps done
   * @param values by the names that TensorBoard has for them
   */
  default void afterMeasurement(int iteration, Map<String, Double> values) {}

  /**
   * Called after a checkpoint was saved, on every rank of a run.
   *
   * @param checkpoint its folder
   * @param iteration steps done
   */
  default void afterSave(Path checkpoint, int iteration) {}

  /**
   * Called when data cannot be read or memory is exhausted, before the run ends. The weights and
   * the state are those after the last whole step.
   */
  default void afterFailure(Trainer trainer) {}

  /** Called after the last step of a run that did not fail, also of one that was stopped. */
  default void atEnd(Trainer trainer) {}

  /**
   * Called with a warning that does not stop the run.
   *
   * @param line for the user
   */
  default void noted(String line) {}

  /** Frees what {@link #atStart} took, however the run ended. */
  default void close() {}
}
