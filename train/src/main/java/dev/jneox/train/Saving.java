package dev.jneox.train;

import dev.jneox.format.neox.RunFolder;
import dev.jneox.model.ModelSpec;
import dev.jneox.weights.ModelWeights;
import java.nio.file.Path;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Saves the run every {@code checkpoint_factor} steps, at its end, and before a failure ends it.
 */
final class Saving implements TrainingCallback {
  private final NeoxConfig config;
  private final RunDirectory directory;
  private final @Nullable TokenizerFile tokenizer;
  private GenerationSettings generation = GenerationSettings.NONE;
  private volatile @Nullable Path newest;
  private volatile int savedAt = -1;

  Saving(NeoxConfig config, RunDirectory directory, @Nullable TokenizerFile tokenizer) {
    this.config = config;
    this.directory = directory;
    this.tokenizer = tokenizer;
  }

  /** Sets what checkpoints say of texts that the model writes. */
  void generation(GenerationSettings settings) {
    generation = settings;
  }

  /** Records the checkpoint that the run begins from, so that it is not saved again. */
  void resumed(Path checkpoint, int iteration) {
    newest = checkpoint;
    savedAt = iteration;
  }

  /** Returns the last checkpoint that was saved, else the one that the run began from. */
  Optional<Path> newest() {
    return Optional.ofNullable(newest);
  }

  /** Returns whether the run is saved and has made steps since the last checkpoint. */
  boolean isDue(int iteration) {
    return isOn() && iteration > Math.max(0, savedAt);
  }

  private boolean isOn() {
    return config.checkpoint().save().isPresent();
  }

  @Override
  public void atStart(Trainer trainer) {
    if (savedAt >= 0) {
      trainer.ranks().supervision().saved(savedAt);
    }
  }

  @Override
  public void afterStep(Trainer trainer, Trainer.Step step) {
    if (isOn() && config.checkpoint().savesAt(step.iteration())) {
      save(trainer);
    }
  }

  @Override
  public void afterFailure(Trainer trainer) {
    Parameters parameters = trainer.parameters();
    boolean hasAll = parameters.shard().layout().isWhole() && !parameters.copy().sharded();
    if (hasAll && trainer.ranks().isFirst() && isDue(trainer.iteration())) {
      write(trainer);
    }
  }

  @Override
  public void atEnd(Trainer trainer) {
    int n = trainer.iteration();
    if (isOn() && savedAt != n && !(trainer.isStopping() && n == 0)) {
      save(trainer);
    }
  }

  /** Writes the weights with the tokenizer, as an HF folder. */
  void writeModel(Path folder, ModelSpec model, ModelWeights weights) {
    Checkpoint.writeModel(folder, model, weights, tokenizer, generation);
  }

  /** Saves on the first rank; the others give what they have, and wait. */
  private void save(Trainer trainer) {
    int iteration = trainer.iteration();
    Path saved;
    if (trainer.ranks().isFirst()) {
      saved = write(trainer);
    } else {
      Checkpoint.give(trainer.parameters(), trainer.processes());
      saved = config.checkpoint().save().orElseThrow().resolve(RunFolder.name(iteration));
    }
    trainer.ranks().barrier();
    newest = saved;
    savedAt = iteration;
    trainer.ranks().supervision().saved(iteration);
    trainer.tell(callback -> callback.afterSave(saved, iteration));
  }

  private Path write(Trainer trainer) {
    Checkpoint.State state = trainer.state();
    Path saved =
        directory.save(
            state.iteration(),
            Checkpoint.bytes(trainer.model()),
            folder ->
                Checkpoint.write(
                    folder,
                    state,
                    trainer.parameters(),
                    trainer.processes(),
                    tokenizer,
                    generation,
                    config.settings().texts()),
            trainer::note);
    newest = saved;
    savedAt = state.iteration();
    return saved;
  }
}
