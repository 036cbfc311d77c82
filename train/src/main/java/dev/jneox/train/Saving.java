package dev.jneox.train;

import java.nio.file.Path;
import java.util.Optional;

/**
 * Saves the run every {@code checkpoint_factor} steps, at its end, and before a failure ends it.
 */
final class Saving implements TrainingCallback {
  private final NeoxConfig config;
  private final RunDirectory directory;
  private final TokenizerFile tokenizer; // null for none
  private volatile Path newest;
  private volatile int savedAt = -1;

  Saving(NeoxConfig config, RunDirectory directory, TokenizerFile tokenizer) {
    this.config = config;
    this.directory = directory;
    this.tokenizer = tokenizer;
  }

  /** Counts the checkpoint that the run begins from as saved. */
  void resumed(Path checkpoint, int iteration) {
    newest = checkpoint;
    savedAt = iteration;
  }

  /** The newest checkpoint of this run: the one it began from, then each one saved. */
  Optional<Path> newest() {
    return Optional.ofNullable(newest);
  }

  /** Whether a run that is saved has a step since the last checkpoint. */
  boolean isDue(int iteration) {
    return isOn() && iteration > Math.max(0, savedAt);
  }

  private boolean isOn() {
    return config.checkpoint().save().isPresent();
  }

  @Override
  public void afterStep(Trainer trainer, Trainer.Step step) {
    if (isOn() && config.checkpoint().savesAt(step.iteration())) {
      save(trainer);
    }
  }

  @Override
  public void afterFailure(Trainer trainer) {
    if (isDue(trainer.iteration())) {
      save(trainer);
    }
  }

  @Override
  public void atEnd(Trainer trainer) {
    int n = trainer.iteration();
    if (isOn() && savedAt != n && !(trainer.isStopping() && n == 0)) {
      save(trainer);
    }
  }

  /** Writes the model alone, with its tokenizer. */
  void writeModel(Path folder, Parameters parameters) {
    Checkpoint.writeModel(folder, parameters, tokenizer);
  }

  private void save(Trainer trainer) {
    Checkpoint.State state = trainer.state();
    newest =
        directory.save(
            state.iteration(),
            Checkpoint.bytes(trainer.model()),
            folder ->
                Checkpoint.write(
                    folder, state, trainer.parameters(), tokenizer, config.settings().texts()),
            trainer::note);
    savedAt = state.iteration();
    trainer.tell(callback -> callback.afterSave(newest, savedAt));
  }
}
