package dev.jneox.cli;

import dev.jneox.io.InputException;
import dev.jneox.io.StorageException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/**
 * Finds the model that this project has trained and releases with its code: what commands use where
 * {@code --model} is not given.
 */
public final class OwnModel {
  /** The models in the folder {@code models} beside the launcher, the best first. */
  private static final List<String> NAMES =
      List.of("jneox-15m.gguf", "jneox-5m.gguf", "jneox-1m.gguf");

  private static final String POINTER = "version https://git-lfs";

  private OwnModel() {}

  /**
   * Returns the file of the best model there is; empty where the program does not know its folder,
   * because it was not started by its launcher.
   *
   * @throws InputException if the file is missing, or only its Git LFS pointer is there
   */
  static Optional<Path> path() {
    return file().map(OwnModel::checked);
  }

  /**
   * Returns the file of the model if it is there.
   *
   * @throws InputException if only its Git LFS pointer is there
   */
  public static Optional<Path> present() {
    return file().filter(Files::exists).map(OwnModel::checked);
  }

  private static Optional<Path> file() {
    return Optional.ofNullable(System.getProperty("jneox.models"))
        .map(
            folder ->
                NAMES.stream()
                    .map(name -> Path.of(folder, name))
                    .filter(Files::exists)
                    .findFirst()
                    .orElse(Path.of(folder, NAMES.getLast())));
  }

  private static Path checked(Path file) {
    if (!Files.exists(file)) {
      throw new InputException(
          file
              + ": expected the model of this project, found none: give --model"
              + " MODEL; models/README.md says where it comes from and how it is made");
    }
    byte[] start;
    try (InputStream in = Files.newInputStream(file)) {
      start = in.readNBytes(POINTER.length());
    } catch (IOException e) {
      throw StorageException.of(file, "cannot be read", e);
    }
    if (new String(start, StandardCharsets.ISO_8859_1).equals(POINTER)) {
      throw new InputException(
          file + ": expected the model, found its Git LFS pointer: run git lfs pull");
    }
    return file;
  }
}
