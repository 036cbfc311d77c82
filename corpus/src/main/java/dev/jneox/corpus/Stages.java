package dev.jneox.corpus;

import dev.jneox.io.AtomicFile;
import dev.jneox.io.AtomicFolder;
import dev.jneox.io.Progress;
import dev.jneox.io.Sha256;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * Keeps the stages of a build in a hidden folder beside its output, from which a build of the same
 * recipe goes on after the process was killed.
 */
final class Stages {
  private static final String RECIPE = "recipe";

  private final Path folder;
  private int next;

  private Stages(Path folder) {
    this.folder = folder;
  }

  /**
   * Opens the folder of an output, and empties it where it is of another recipe. The caller holds
   * the lock of the output.
   *
   * @param recipe all that determines the content of the stages
   */
  static Stages of(Path out, byte[] recipe) throws IOException {
    Stages stages = new Stages(folder(out));
    String hash = Sha256.of(MemorySegment.ofArray(recipe), Progress.silent());
    Path file = stages.folder.resolve(RECIPE);
    if (!Files.isRegularFile(file) || !Files.readString(file).equals(hash)) {
      stages.delete();
      Files.createDirectories(stages.folder);
      AtomicFile.write(file, hash.getBytes(StandardCharsets.US_ASCII));
    }
    return stages;
  }

  private static Path folder(Path out) {
    Path target = out.toAbsolutePath();
    return target.resolveSibling("." + target.getFileName() + ".stages");
  }

  /** Returns the folder of an output where a stage is whole. */
  static Optional<Path> kept(Path out) {
    Stages stages = new Stages(folder(out));
    try {
      return Files.isDirectory(stages.folder) && stages.finished() > 0
          ? Optional.of(stages.folder)
          : Optional.empty();
    } catch (IOException e) {
      return Optional.empty(); // it is being deleted
    }
  }

  Path folder() {
    return folder;
  }

  /** Returns the folder of the next stage: builds of one recipe ask for the same ones in order. */
  Path next(String name) {
    return folder.resolve("%02d-%s".formatted(next++, name));
  }

  /** Returns whether a stage has been written whole: Spark makes this file last. */
  static boolean isFinished(Path stage) {
    return Files.exists(stage.resolve("_SUCCESS"));
  }

  /** Returns how many stages are whole. */
  long finished() throws IOException {
    try (Stream<Path> list = Files.list(folder)) {
      return list.filter(Stages::isFinished).count();
    }
  }

  void delete() throws IOException {
    AtomicFolder.delete(folder);
  }
}
