package dev.jneox.inspect;

import dev.jneox.format.neox.RunFolder;
import dev.jneox.io.FolderFiles;
import dev.jneox.io.InputException;
import dev.jneox.io.JneoxException;
import dev.jneox.io.StorageException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.NavigableMap;
import java.util.Optional;
import java.util.OptionalDouble;

/**
 * Lists the checkpoints in the folder of a run.
 *
 * @param latest the checkpoint that the file {@code latest} names, if it is here
 * @param checkpoints by step
 * @param problem why the run does not stand for one of them; empty when it does
 */
public record RunInspection(
    Path path, Optional<String> latest, List<Checkpoint> checkpoints, Optional<String> problem) {

  /**
   * One checkpoint.
   *
   * @param saved when
   * @param bytes of all its files
   * @param loss of its last step, in nats per token; empty when {@code metrics.csv} does not have
   *     it
   * @param validationLoss the last one up to it; empty likewise
   */
  public record Checkpoint(
      String name,
      Path path,
      long step,
      Instant saved,
      long bytes,
      OptionalDouble loss,
      OptionalDouble validationLoss) {}

  /**
   * Lists the checkpoints of a folder.
   *
   * @throws InputException when it has none
   * @throws StorageException when it cannot be read
   */
  public static RunInspection of(Path path) {
    RunFolder run = RunFolder.of(path);
    List<Path> checkpoints = new ArrayList<>(run.checkpoints());
    Path newest = null;
    String problem = null;
    try {
      newest = run.newest();
    } catch (JneoxException e) {
      if (checkpoints.isEmpty()) {
        throw e;
      }
      problem = e.getMessage();
    }
    if (newest != null && !checkpoints.contains(newest)) {
      checkpoints.add(newest); // a save was killed between its two moves
      checkpoints.sort(Comparator.comparingLong(RunFolder::step));
    }
    boolean named = newest != null && Files.exists(path.resolve(RunFolder.LATEST));
    NavigableMap<Long, RunFolder.Losses> losses = run.losses();
    return new RunInspection(
        path,
        named ? Optional.of(newest.getFileName().toString()) : Optional.empty(),
        checkpoints.stream().map(checkpoint -> checkpoint(checkpoint, losses)).toList(),
        Optional.ofNullable(problem));
  }

  private static Checkpoint checkpoint(Path path, NavigableMap<Long, RunFolder.Losses> losses) {
    long step = RunFolder.step(path);
    var row = Optional.ofNullable(losses.floorEntry(step)).map(entry -> entry.getValue());
    return new Checkpoint(
        path.getFileName().toString(),
        path,
        step,
        saved(path),
        bytes(path),
        row.map(RunFolder.Losses::training).orElse(OptionalDouble.empty()),
        row.map(RunFolder.Losses::validation).orElse(OptionalDouble.empty()));
  }

  private static Instant saved(Path checkpoint) {
    try {
      return Files.getLastModifiedTime(checkpoint).toInstant();
    } catch (IOException e) {
      throw unreadable(checkpoint, e);
    }
  }

  private static long bytes(Path checkpoint) {
    long bytes = 0;
    for (Path file : FolderFiles.deep(checkpoint)) {
      try {
        bytes += Files.size(file);
      } catch (IOException e) {
        throw unreadable(file, e);
      }
    }
    return bytes;
  }

  private static StorageException unreadable(Path path, IOException e) {
    return StorageException.of(path, "cannot be read", e);
  }
}
