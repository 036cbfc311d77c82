package dev.jneox.io;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;

/** Decides whether a result may be written under a name: one rule for every command. */
public final class Overwrite {
  private Overwrite() {}

  /**
   * Checks that a name is free. A folder without files is free.
   *
   * @param target the file or folder to be written
   * @param replace whether what exists may be replaced
   * @throws InputException when it exists and may not be replaced
   * @throws StorageException when its folder cannot be read
   */
  public static void check(Path target, boolean replace) {
    if (!replace && isTaken(target)) {
      throw new InputException(
          target + ": exists already: choose another name, or replace it with --force");
    }
  }

  /**
   * Tells whether a name has a file or a folder that is not empty.
   *
   * @throws StorageException when the folder cannot be read
   */
  public static boolean isTaken(Path target) {
    if (!Files.isDirectory(target)) {
      return Files.exists(target);
    }
    try (Stream<Path> inside = Files.list(target)) {
      return inside.findAny().isPresent();
    } catch (IOException e) {
      throw StorageException.of(target, "cannot be read", e);
    }
  }
}
