package dev.jneox.train;

import dev.jneox.format.neox.RunFolder;
import dev.jneox.io.JneoxException;
import dev.jneox.model.ModelSpec;
import dev.jneox.weights.ModelWeights;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Saves the run every {@code checkpoint_factor} steps, at its end, and before a failure ends it.
 *
 * <p>A step stops only for a copy in memory, on the first rank. A thread writes that copy while the
 * training goes on; the next save waits until it has. The ranks hear with the numbers of each step
 * which checkpoint is written.
 */
final class Saving implements TrainingCallback {
  private final NeoxConfig config;
  private final RunDirectory directory;
  private final @Nullable TokenizerFile tokenizer;
  private GenerationSettings generation = GenerationSettings.NONE;
  private volatile @Nullable Path newest;
  private volatile int begunAt = -1; // step of the newest save that was begun
  private volatile int savedAt = -1; // step of the newest checkpoint on disk
  private @Nullable Snapshot snapshot;
  private @Nullable Write writing;

  /**
   * A checkpoint that is being written.
   *
   * @param notes warnings of the thread that writes
   */
  private record Write(int iteration, CompletableFuture<Path> done, List<String> notes) {}

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
    begunAt = iteration;
    savedAt = iteration;
  }

  /** Returns the last checkpoint that was saved, else the one that the run began from. */
  Optional<Path> newest() {
    return Optional.ofNullable(newest);
  }

  /** Returns whether the run is saved and has made steps since the last checkpoint. */
  boolean isDue(int iteration) {
    return isOn() && iteration > Math.max(0, begunAt);
  }

  private boolean isOn() {
    return config.checkpoint().save().isPresent();
  }

  /** Returns the step of the newest checkpoint on disk; -1 for none. */
  int savedAt() {
    return savedAt;
  }

  @Override
  public void atStart(Trainer trainer) {
    if (savedAt >= 0) {
      trainer.ranks().supervision().saved(savedAt);
    }
  }

  @Override
  public void afterStep(Trainer trainer, Trainer.Step step) {
    Write write = writing;
    if (write != null && write.done.isDone()) {
      finish(trainer);
    }
    if (isOn() && config.checkpoint().savesAt(step.iteration())) {
      save(trainer);
    }
  }

  @Override
  public void afterFailure(Trainer trainer) {
    finishQuietly(trainer);
    Parameters parameters = trainer.parameters();
    boolean hasAll = parameters.shard().layout().isWhole() && !parameters.copy().sharded();
    int n = trainer.iteration();
    if (hasAll && trainer.ranks().isFirst() && isOn() && n > Math.max(0, savedAt)) {
      Checkpoint.Source live = Checkpoint.live(parameters, trainer.processes());
      trainer.goodput().copied();
      begunAt = n;
      newest = write(trainer.state(), trainer.model(), live, trainer::note);
      savedAt = n;
      trainer.wasSaved(n);
    }
  }

  @Override
  public void atEnd(Trainer trainer) {
    int n = trainer.iteration();
    if (isOn() && begunAt != n && !(trainer.isStopping() && n == 0)) {
      save(trainer);
    }
    finish(trainer);
    if (isOn() && !trainer.ranks().isFirst()) {
      trainer.ranks().barrier(); // the first rank has written
      saved(trainer, begunAt);
    } else if (isOn()) {
      trainer.ranks().barrier();
    }
  }

  /** Writes the weights with the tokenizer, as an HF folder. */
  void writeModel(Path folder, ModelSpec model, ModelWeights weights) {
    Checkpoint.writeModel(folder, model, weights, tokenizer, generation);
  }

  /** Copies the run on the first rank, which begins to write it; the others give what they have. */
  private void save(Trainer trainer) {
    finish(trainer); // one at a time is written
    begunAt = trainer.iteration();
    if (!trainer.ranks().isFirst()) {
      Checkpoint.give(trainer.parameters(), trainer.processes());
      return;
    }
    Checkpoint.State state = trainer.state();
    ModelSpec model = trainer.model();
    List<String> notes = new CopyOnWriteArrayList<>();
    CompletableFuture<Path> done = new CompletableFuture<>();
    Checkpoint.Source live = Checkpoint.live(trainer.parameters(), trainer.processes());
    trainer.goodput().copied();
    if (!config.checkpoint().async()) {
      done.complete(write(state, model, live, notes::add));
      writing = new Write(begunAt, done, notes);
      finish(trainer);
      return;
    }
    if (snapshot == null) {
      snapshot = new Snapshot(model, trainer.ranks().supervision()::progress);
    }
    Snapshot copy = snapshot;
    copy.take(live);
    writing = new Write(begunAt, done, notes);
    Thread.ofPlatform()
        .daemon()
        .name("checkpoint")
        .start(
            () -> {
              try {
                done.complete(write(state, model, copy, notes::add));
              } catch (Throwable t) {
                done.completeExceptionally(t);
              }
            });
  }

  /**
   * Waits for the checkpoint that is being written, and tells of it.
   *
   * @throws JneoxException when it could not be written
   */
  private void finish(Trainer trainer) {
    Write write = writing;
    if (write == null) {
      return;
    }
    writing = null;
    Path path;
    try {
      path = write.done.join();
    } catch (CompletionException e) {
      begunAt = savedAt;
      if (e.getCause() instanceof JneoxException known) {
        throw known.withMessage(known.getMessage());
      }
      if (e.getCause() instanceof Error error) {
        throw error;
      }
      throw e;
    } finally {
      write.notes.forEach(trainer::note);
    }
    newest = path;
    savedAt = write.iteration;
    trainer.wasSaved(savedAt);
    trainer.tell(callback -> callback.afterSave(path, write.iteration));
  }

  /** Waits for the checkpoint that is being written while the run ends for another reason. */
  void finishQuietly(Trainer trainer) {
    try {
      finish(trainer);
    } catch (JneoxException e) {
      trainer.note(e.getMessage());
    }
  }

  /** Hears on the other ranks which checkpoint the first one has written. */
  void saved(Trainer trainer, int iteration) {
    if (trainer.ranks().isFirst() || iteration <= savedAt) {
      return;
    }
    Path path = config.checkpoint().save().orElseThrow().resolve(RunFolder.name(iteration));
    newest = path;
    savedAt = iteration;
    trainer.wasSaved(iteration);
    trainer.tell(callback -> callback.afterSave(path, iteration));
  }

  private Path write(
      Checkpoint.State state, ModelSpec model, Checkpoint.Source source, Consumer<String> told) {
    return directory.save(
        state.iteration(),
        Checkpoint.bytes(model),
        folder ->
            Checkpoint.write(
                folder, state, model, source, tokenizer, generation, config.settings().texts()),
        told);
  }

  @Override
  public void close() {
    Write write = writing;
    if (write != null) {
      write.done.handle((path, failure) -> path).join();
      writing = null;
    }
    if (snapshot != null) {
      snapshot.close();
      snapshot = null;
    }
  }
}
