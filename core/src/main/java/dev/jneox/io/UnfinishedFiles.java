package dev.jneox.io;

import java.io.IOException;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.Set;

/**
 * Deletes what this process has not finished writing when it is told to end, by Ctrl-C or SIGTERM.
 * A killed process cannot; the next writer of the same target then deletes what it left.
 */
final class UnfinishedFiles {
  /** How often a folder is tried that its writer still fills. */
  private static final int TRIES = 20;

  private static final Set<Path> PATHS = new HashSet<>();

  static {
    Runtime.getRuntime().addShutdownHook(new Thread(UnfinishedFiles::delete));
  }

  private UnfinishedFiles() {}

  /** Remembers a file or folder, which need not exist yet. */
  static void add(Path path) {
    synchronized (PATHS) {
      PATHS.add(path.toAbsolutePath());
    }
  }

  /**
   * Forgets a file or folder.
   *
   * @return false when it was deleted, so that it cannot be committed any more
   */
  static boolean remove(Path path) {
    synchronized (PATHS) {
      return PATHS.remove(path.toAbsolutePath());
    }
  }

  private static void delete() {
    synchronized (PATHS) {
      PATHS.forEach(UnfinishedFiles::delete);
      PATHS.clear();
    }
  }

  private static void delete(Path path) {
    for (int i = 0; i < TRIES; i++) {
      try {
        AtomicFolder.delete(path);
        return;
      } catch (IOException e) {
        // Its writer has added a file meanwhile.
      }
    }
  }
}
