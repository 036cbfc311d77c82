package dev.jneox.io;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.FileVisitOption;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;

/** Lists the files in a folder. */
public final class FolderFiles {
  /** Folders in a model's folder that hold a part of it: NeoX keeps its layers in one. */
  private static final int DEPTH = 3;

  private FolderFiles() {}

  /**
   * Lists the files of a folder and of the folders in it, by name; of a file, that file. Links to
   * folders are followed. Hidden files and those in hidden folders are left out.
   *
   * @throws StorageException when a folder cannot be read
   */
  public static List<Path> of(Path path) {
    return Files.isDirectory(path)
        ? walk(path, DEPTH).stream().filter(file -> !hidden(path.relativize(file))).toList()
        : List.of(path);
  }

  /**
   * Lists the regular files of a folder, deep, hidden ones too, in the order of their paths. Links
   * to files and folders are followed.
   *
   * @throws StorageException when a folder cannot be read, or links to one that it is in
   */
  public static List<Path> deep(Path folder) {
    return walk(folder, Integer.MAX_VALUE);
  }

  private static List<Path> walk(Path path, int depth) {
    try (Stream<Path> walk = Files.walk(path, depth, FileVisitOption.FOLLOW_LINKS)) {
      return walk.filter(Files::isRegularFile)
          .sorted(Comparator.comparing(Path::toString))
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
