package dev.jneox.corpus;

import dev.jneox.data.ZstdInputStream;
import dev.jneox.io.InputException;
import java.io.BufferedInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.function.Predicate;
import java.util.zip.GZIPInputStream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipException;
import java.util.zip.ZipInputStream;
import org.apache.commons.compress.archivers.ArchiveEntry;
import org.apache.commons.compress.archivers.ar.ArArchiveInputStream;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveInputStream;
import org.apache.commons.compress.compressors.xz.XZCompressorInputStream;
import org.jspecify.annotations.Nullable;

/**
 * Reads the files in a package: a {@code .deb}, a {@code .tgz} or a {@code .jar}. Nothing is
 * written to disk, so that a name in a package cannot lead out of a folder. Links are left out.
 */
final class PackageFiles {
  /** The largest file that is read, in bytes. */
  static final int LIMIT = (int) Math.min(256_000_000, Runtime.getRuntime().maxMemory() / 16);

  /** Takes the files. */
  @FunctionalInterface
  interface Visitor {
    /**
     * Takes one.
     *
     * @param file its name in the package, with slashes, without one at the beginning
     * @param bytes its content; of a name in {@code .gz} or {@code .dz} decompressed
     */
    void visit(String file, byte[] bytes);
  }

  private PackageFiles() {}

  /**
   * Reads the wanted files in the order of the package.
   *
   * @throws InputException for a file that is no such package, and for too large a file in it
   */
  static void each(Path file, Predicate<String> wanted, Visitor visitor) {
    String name = String.valueOf(file.getFileName());
    try (InputStream in = new BufferedInputStream(Files.newInputStream(file), 1 << 16)) {
      if (name.endsWith(".deb")) {
        debian(file, in, wanted, visitor);
      } else if (name.endsWith(".jar")) {
        jar(file, in, wanted, visitor);
      } else {
        tar(file, new GZIPInputStream(in, 1 << 16), wanted, visitor);
      }
    } catch (IOException e) {
      throw new InputException(
          file + ": is no whole package: " + reason(e) + ": delete it and fetch again", e);
    }
  }

  private static String reason(IOException e) {
    return e instanceof EOFException ? "it ends too early" : String.valueOf(e.getMessage());
  }

  private static void debian(Path file, InputStream in, Predicate<String> wanted, Visitor visitor)
      throws IOException {
    ArArchiveInputStream ar = new ArArchiveInputStream(in);
    for (ArchiveEntry entry = ar.getNextEntry(); entry != null; entry = ar.getNextEntry()) {
      switch (entry.getName()) {
        case "data.tar.xz" -> {
          tar(file, new XZCompressorInputStream(ar), wanted, visitor);
          return;
        }
        case "data.tar.zst" -> {
          tar(file, new ZstdInputStream(ar), wanted, visitor);
          return;
        }
        case "data.tar.gz" -> {
          tar(file, new GZIPInputStream(ar, 1 << 16), wanted, visitor);
          return;
        }
        case "data.tar" -> {
          tar(file, ar, wanted, visitor);
          return;
        }
        default -> {
          if (entry.getName().startsWith("data.tar")) {
            throw InputException.in(
                file, "members", "data.tar, or this as .gz, .xz or .zst", entry.getName());
          }
        }
      }
    }
    throw new EOFException();
  }

  private static void tar(Path file, InputStream in, Predicate<String> wanted, Visitor visitor)
      throws IOException {
    TarArchiveInputStream tar = new TarArchiveInputStream(in);
    for (TarArchiveEntry entry = tar.getNextEntry(); entry != null; entry = tar.getNextEntry()) {
      if (entry.isFile() && !entry.isSymbolicLink() && !entry.isLink()) {
        take(file, entry.getName(), tar, wanted, visitor);
      }
    }
  }

  private static void jar(Path file, InputStream in, Predicate<String> wanted, Visitor visitor)
      throws IOException {
    ZipInputStream zip = new ZipInputStream(in);
    @Nullable ZipEntry entry = zip.getNextEntry();
    if (entry == null) {
      throw new ZipException("it has no entries");
    }
    for (; entry != null; entry = zip.getNextEntry()) {
      if (!entry.isDirectory()) {
        take(file, entry.getName(), zip, wanted, visitor);
      }
    }
  }

  private static void take(
      Path file, String entry, InputStream in, Predicate<String> wanted, Visitor visitor)
      throws IOException {
    String name = entry.startsWith("./") ? entry.substring(2) : entry;
    if (!wanted.test(name)) {
      return;
    }
    InputStream content =
        name.endsWith(".gz") || name.endsWith(".dz") ? new GZIPInputStream(in, 1 << 16) : in;
    byte[] bytes = content.readNBytes(LIMIT);
    if (bytes.length == LIMIT && content.read() >= 0) {
      throw InputException.in(file, name, "at most " + LIMIT + " bytes", "more");
    }
    visitor.visit(name, bytes);
  }
}
