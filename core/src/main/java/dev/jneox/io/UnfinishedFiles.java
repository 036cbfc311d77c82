package dev.jneox.io;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.Set;

/**
 * Deletes what this process has not finished writing when it is told to end, by Ctrl-C or SIGTERM.
 * A killed process cannot; the next writer of the same target then deletes what it left.
 */
final class UnfinishedFiles {
  private static final Set<Path> PATHS = new HashSet<>();

  private static boolean ending; // guarded by PATHS

  static {
    Runtime.getRuntime().addShutdownHook(new Thread(UnfinishedFiles::delete));
  }

  private UnfinishedFiles() {}

  /**
   * Remembers a file or folder, which need not exist yet.
   *
   * @throws CancelledException when the process has been told to end
   */
  static void add(Path path) {
    synchronized (PATHS) {
      if (ending) {
        throw new CancelledException(path + ": the process was told to end", null);
      }
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
      ending = true;
      PATHS.forEach(UnfinishedFiles::delete);
      PATHS.clear();
    }
  }

  /**
   * Deletes one file or folder. A folder is renamed first, so that a writer that still runs cannot
   * add files to it. The new name is one of a partial folder too, which the next writer of the same
   * target deletes should this process be killed meanwhile.
   */
  private static void delete(Path path) {
    try {
      if (Files.isDirectory(path)) {
        Path renamed = Files.move(path, AtomicFile.renamed(path));
        try {
          AtomicFolder.delete(renamed);
        } catch (IOException e) {
          AtomicFolder.delete(renamed); // a file was being created during the move
        }
      } else {
        Files.deleteIfExists(path);
      }
    } catch (IOException e) {
      // The next writer of the same target deletes the remaining files.
    }
  }
}
