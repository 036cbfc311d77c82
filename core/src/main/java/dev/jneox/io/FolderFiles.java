package dev.jneox.io;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;

/** Lists the files that a model's folder consists of. */
public final class FolderFiles {
  /** Folders in a model's folder that hold a part of it: NeoX keeps its layers in one. */
  private static final int DEPTH = 3;

  private FolderFiles() {}

  /**
   * Lists the files of a folder and of the folders in it, by name; of a file, that file. Hidden
   * files and those in hidden folders are left out.
   *
   * @throws StorageException when a folder cannot be read
   */
  public static List<Path> of(Path path) {
    if (!Files.isDirectory(path)) {
      return List.of(path);
    }
    try (Stream<Path> walk = Files.walk(path, DEPTH)) {
      return walk.filter(Files::isRegularFile)
          .filter(file -> !hidden(path.relativize(file)))
          .sorted()
          .toList();
    } catch (IOException e) {
      throw StorageException.of(path, "cannot be read", e);
    } catch (UncheckedIOException e) {
      throw StorageException.of(path, "cannot be read", Objects.requireNonNull(e.getCause()));
    }
  }

  private static boolean hidden(Path relative) {
    for (Path part : relative) {
      if (part.toString().startsWith(".")) {
        return true;
      }
    }
    return false;
  }
}
