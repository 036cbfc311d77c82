package dev.jneox.io;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;

/**
 * A folder that appears under its name whole or not at all: it is filled beside it, under a name ending in {@code .partial}, and
 * moved into place by {@link #commit}; a folder of that name is replaced only then. Closing without a commit deletes what was
 * written. The files in it are forced to disk by who writes them.
 */
public final class AtomicFolder implements AutoCloseable {
  private final Path target;
  private final Path partial;
  private final Path replaced;
  private boolean done;

  /** Clears what an attempt that was killed has left. */
  public AtomicFolder(Path target) {
    this.target = target.toAbsolutePath().normalize();
    if (this.target.getFileName() == null) {
      throw new InputException(target + ": is no name for a new folder");
    }
    this.partial = this.target.resolveSibling(this.target.getFileName() + ".partial");
    this.replaced = this.target.resolveSibling(this.target.getFileName() + ".replaced");
    try {
      if (Files.exists(replaced) && !Files.exists(this.target)) {
        Files.move(replaced, this.target); // killed between the two moves of a commit
      }
      delete(replaced);
      delete(partial);
      Files.createDirectories(partial);
    } catch (IOException e) {
      throw failed(e);
    }
  }

  /** The folder to write into. */
  public Path path() {
    return partial;
  }

  /** Moves the folder to its name; the one that was there goes. */
  public void commit() {
    try {
      if (Files.exists(target)) {
        Files.move(target, replaced, StandardCopyOption.ATOMIC_MOVE);
      }
      Files.move(partial, target, StandardCopyOption.ATOMIC_MOVE);
      done = true;
      delete(replaced);
    } catch (IOException e) {
      throw failed(e);
    }
  }

  private InputException failed(IOException e) {
    return new InputException(target + ": cannot be written: " + AtomicFile.reason(e), e);
  }

  @Override
  public void close() {
    if (!done) {
      try {
        delete(partial);
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
  }

  /** Deletes a folder with all that is in it; links are deleted, not followed. */
  private static void delete(Path folder) throws IOException {
    if (!Files.exists(folder)) {
      return;
    }
    List<Path> inside;
    try (Stream<Path> walk = Files.walk(folder)) {
      inside = walk.sorted(Comparator.reverseOrder()).toList();
    }
    for (Path path : inside) {
      Files.delete(path);
    }
  }
}
