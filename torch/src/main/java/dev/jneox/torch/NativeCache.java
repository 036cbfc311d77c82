package dev.jneox.torch;

import dev.jneox.io.StorageException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/**
 * Describes the folder that libtorch's libraries were unpacked into.
 *
 * @param free bytes free on its disk
 * @param bytes of the libraries
 * @param unused folders with libraries that this version does not load
 */
public record NativeCache(Path folder, long free, long bytes, List<Unused> unused) {

  /** A folder with libraries of another version, or that JavaCPP unpacked itself. */
  public record Unused(Path folder, long bytes) {}

  /**
   * Starts libtorch, if nobody did, and looks at the folder of its libraries.
   *
   * @throws StorageException when it cannot be read
   */
  public static NativeCache read() {
    Path folder = Libtorch.libraries().folder();
    // Where they were unpacked by JavaCPP itself.
    Path javaCpp = Path.of(System.getProperty("user.home"), ".javacpp", "cache");
    try {
      return new NativeCache(
          folder,
          Files.getFileStore(folder).getUsableSpace(),
          bytes(folder),
          unused(folder, javaCpp));
    } catch (IOException e) {
      throw StorageException.of(folder, "cannot be read", e);
    }
  }

  /** The folders beside {@code cache} for the same platform, and JavaCPP's. */
  static List<Unused> unused(Path cache, Path javaCpp) throws IOException {
    String platform = cache.getFileName().toString().replaceFirst("-pytorch-.*", "-pytorch-");
    List<Unused> unused = new ArrayList<>();
    try (Stream<Path> beside = Files.list(cache.getParent())) {
      for (Path folder : beside.filter(Files::isDirectory).toList()) {
        if (folder.getFileName().toString().startsWith(platform) && !folder.equals(cache)) {
          unused.add(new Unused(folder, bytes(folder)));
        }
      }
    }
    if (Files.isDirectory(javaCpp)) {
      unused.add(new Unused(javaCpp, bytes(javaCpp)));
    }
    return unused;
  }

  private static long bytes(Path folder) throws IOException {
    try (Stream<Path> files = Files.walk(folder)) {
      return files
          .filter(file -> Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS))
          .mapToLong(file -> file.toFile().length())
          .sum();
    }
  }
}
