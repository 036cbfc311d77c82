package dev.jneox.train;

import dev.jneox.io.AtomicFile;
import dev.jneox.io.StorageException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;

/** Writes a trace of some steps on all ranks, {@code trace.json}, as {@link StepTrace} has it. */
final class Profile implements TrainingCallback {
  private static final String FILE = "trace.json";

  private final int first;
  private final int last;
  private final Path folder;

  /**
   * Prepares a trace.
   *
   * @param first step of the trace
   * @param last step of the trace
   * @param folder where the file goes
   */
  Profile(int first, int last, Path folder) {
    this.first = first;
    this.last = last;
    this.folder = folder;
  }

  @Override
  public void atStart(Trainer trainer) {
    beginAt(trainer, trainer.iteration() + 1);
  }

  @Override
  public void afterStep(Trainer trainer, Trainer.Step step) {
    if (trace(trainer).isOn()
        && (step.iteration() == last || trainer.endsHere() || trainer.isStopping())) {
      write(trainer);
    }
    if (!trainer.endsHere()) {
      beginAt(trainer, step.iteration() + 1);
    }
  }

  private static StepTrace trace(Trainer trainer) {
    return trainer.processes().traffic().trace();
  }

  private void beginAt(Trainer trainer, int next) {
    if (next >= first && next <= last && !trace(trainer).isOn()) {
      trainer.ranks().barrier(); // all count their time from here
      trace(trainer).begin();
    }
  }

  private void write(Trainer trainer) {
    double[] mine = trace(trainer).end();
    double[][] lengths = trainer.processes().exchangeAll(mine.length);
    int longest =
        Arrays.stream(lengths).mapToInt(length -> (int) length[0]).max().orElse(mine.length);
    double[][] all = trainer.processes().exchangeAll(Arrays.copyOf(mine, longest));
    if (!trainer.ranks().isFirst()) {
      return;
    }
    Path file = folder.resolve(FILE);
    try {
      Files.createDirectories(folder);
      AtomicFile.write(file, StepTrace.json(all, trainer.ranks().mesh()));
      trainer.note("the trace of steps " + first + " to " + last + " is in " + file);
    } catch (IOException e) {
      throw StorageException.of(file, "cannot be written", e);
    }
  }
}
