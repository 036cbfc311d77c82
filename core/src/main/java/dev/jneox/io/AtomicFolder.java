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
 * Writes a folder that appears under its name whole or not at all. It is filled beside it, under a
 * name of its own that ends in {@code .partial}, and moved into place by {@link #commit}; a folder
 * of that name is replaced only then. Closing without a commit deletes what was written. The
 * writers of the files in it force them to disk.
 */
public final class AtomicFolder implements AutoCloseable {
  /**
   * Put behind the name of the folder that is being replaced, between the two moves of a commit.
   */
  public static final String REPLACED = ".replaced";

  private final Path target;
  private final Path partial;
  private final Path replaced;
  private final TargetLock lock;
  private boolean done;

  /**
   * Keeps other writers away from {@code target} until {@link #close}, and removes what killed ones
   * have left.
   *
   * @throws StorageException when another writer is at work, or the folder cannot be written
   */
  public AtomicFolder(Path target) {
    this.lock = TargetLock.take(target);
    this.target = TargetLock.real(target);
    this.partial = AtomicFile.partial(this.target);
    this.replaced = this.target.resolveSibling(this.target.getFileName() + REPLACED);
    boolean ready = false;
    try {
      if (Files.exists(replaced) && !Files.exists(this.target)) {
        Files.move(replaced, this.target); // killed between the two moves of a commit
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
        lock.close();
      }
    }
  }

  /** The folder to write into. */
  public Path path() {
    return partial;
  }

  /** Moves the folder to its name; the one that was there goes. Then other writers may come. */
  public void commit() {
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
        delete(partial);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } finally {
      lock.close();
    }
  }

  /** Deletes a folder with all that is in it; links are deleted, not followed. */
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
