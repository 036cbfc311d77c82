package dev.jneox.train;

import java.nio.file.Path;

/**
 * Takes part in a training run beside the loop itself: tells of it, measures, saves. The loop calls
 * all callbacks on its own thread, in the order they were given; its own come after those of the
 * caller, in the order evaluation, metrics, divergence check, saving.
 */
public interface TrainingCallback {
  /** Before the first step. */
  default void atStart(Trainer trainer) {}

  /**
   * After each micro-batch but the last of a step, which may take minutes.
   *
   * @param iteration of the step, from 1
   * @param done micro-batches of it that are done
   * @param of how many it has
   * @param seconds since it began
   */
  default void afterMicroBatch(int iteration, int done, int of, double seconds) {}

  /** After each whole step. */
  default void afterStep(Trainer trainer, Trainer.Step step) {}

  /**
   * After a validation, or at the end the test.
   *
   * @param name {@code validation} or {@code test}
   * @param loss in nats a token
   */
  default void afterEvaluation(String name, int iteration, double loss) {}

  default void afterSave(Path checkpoint, int iteration) {}

  /** When data or memory failed, before the run ends; the state is that of the last whole step. */
  default void afterFailure(Trainer trainer) {}

  /** After the last step of a run that did not fail, also of one that was stopped. */
  default void atEnd(Trainer trainer) {}

  /** Something that the user should know and that does not stop the run, in one line. */
  default void noted(String line) {}

  /** Frees what {@link #atStart} took, however the run ended. */
  default void close() {}
}
