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
 * Writes a folder that appears under its name whole or not at all. The caller fills a folder beside
 * it, whose name ends in {@code .partial}; {@link #commit} moves it to its name and replaces an
 * older folder. Closing without a commit deletes it. The writer of each file forces it to disk.
 */
public final class AtomicFolder implements AutoCloseable {
  /** The suffix of a folder that is being replaced, between the two moves of a commit. */
  public static final String REPLACED = ".replaced";

  private final Path target;
  private final Path partial;
  private final Path replaced;
  private final TargetLock lock;
  private boolean done;

  /**
   * Locks {@code target} against other writers until {@link #close}, and deletes the partial
   * folders of writers that were killed.
   *
   * @throws StorageException when another writer is at work, or the folder cannot be written
   */
  public AtomicFolder(Path target) {
    this.lock = TargetLock.take(target);
    this.target = TargetLock.real(target);
    this.partial = AtomicFile.partial(this.target);
    this.replaced = this.target.resolveSibling(this.target.getFileName() + REPLACED);
    UnfinishedFiles.add(partial);
    boolean ready = false;
    try {
      if (Files.exists(replaced) && !Files.exists(this.target)) {
        Files.move(replaced, this.target); // the writer was killed between the two moves
      }
      delete(replaced);
      for (Path left : AtomicFile.leftovers(this.target)) {
        delete(left);
      }
      Files.createDirectories(partial);
      ready = true;
    } catch (IOException e) {
      throw failed(e);
    } finally {
      if (!ready) {
        UnfinishedFiles.remove(partial);
        lock.close();
      }
    }
  }

  /** Returns the folder to write into. */
  public Path path() {
    return partial;
  }

  /** Moves the folder to its name, deletes the one it replaces and releases the lock. */
  public void commit() {
    if (!UnfinishedFiles.remove(partial)) {
      throw new CancelledException(target + ": is not written: the process was told to end", null);
    }
    try {
      if (Files.exists(target)) {
        Files.move(target, replaced, StandardCopyOption.ATOMIC_MOVE);
      }
      Files.move(partial, target, StandardCopyOption.ATOMIC_MOVE);
      done = true;
      AtomicFile.forceNames(target);
      delete(replaced);
    } catch (IOException e) {
      throw failed(e);
    }
    lock.close();
  }

  private StorageException failed(IOException e) {
    return StorageException.of(target, "cannot be written", e);
  }

  @Override
  public void close() {
    try {
      if (!done) {
        UnfinishedFiles.remove(partial);
        delete(partial);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } finally {
      lock.close();
    }
  }

  /** Deletes a folder with its content. Links are deleted, not followed. */
  public static void delete(Path folder) throws IOException {
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
