package dev.jneox.io;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;

/**
 * A file that appears under its name whole or not at all: it is written beside it, under a name ending in {@code .partial},
 * forced to disk and moved into place by {@link #commit}. Closing without a commit deletes what was written.
 */
public final class AtomicFile implements AutoCloseable {
  private final Path target;
  private final Path partial;
  private boolean done;

  public AtomicFile(Path target) {
    this.target = target;
    this.partial = target.resolveSibling(target.getFileName() + ".partial");
    try {
      if (target.toAbsolutePath().getParent() != null) {
        Files.createDirectories(target.toAbsolutePath().getParent());
      }
      Files.deleteIfExists(partial);
    } catch (IOException e) {
      throw new InputException(target + ": cannot be written: " + reason(e), e);
    }
  }

  /** The path to write to; exists only if the writer creates it. */
  public Path path() {
    return partial;
  }

  /** Forces the written bytes to disk and moves them to the final name, replacing what was there. */
  public void commit() {
    try {
      try (FileChannel channel = FileChannel.open(partial, StandardOpenOption.WRITE)) {
        channel.force(true);
      }
      try {
        Files.move(partial, target, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
      } catch (AtomicMoveNotSupportedException e) {
        Files.move(partial, target, StandardCopyOption.REPLACE_EXISTING);
      }
      done = true;
    } catch (IOException e) {
      throw new InputException(target + ": cannot be written: " + reason(e), e);
    }
  }

  @Override
  public void close() {
    if (!done) {
      try {
        Files.deleteIfExists(partial);
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
  }

  /** Writes a whole small file in one act. */
  public static void write(Path target, byte[] bytes) {
    try (AtomicFile file = new AtomicFile(target)) {
      try {
        Files.write(file.path(), bytes);
      } catch (IOException e) {
        throw new InputException(target + ": cannot be written: " + reason(e), e);
      }
      file.commit();
    }
  }

  /** What an {@link IOException} says, with the class name where its message is only a path. */
  public static String reason(IOException e) {
    String message = e.getMessage();
    return message == null || e.getClass() != IOException.class ? e.getClass().getSimpleName() + (message == null ? "" : " " + message) : message;
  }
}
