package dev.jneox.corpus;

import dev.jneox.io.AtomicFile;
import dev.jneox.io.InputException;
import dev.jneox.io.StorageException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.TreeMap;

/**
 * Keeps which bytes each package of a pipeline has, in a file beside the pipeline: a line of name,
 * version, bytes and SHA-256 for each, sorted. With it, a corpus is made of the same bytes
 * everywhere.
 */
final class PackageLock {
  /**
   * Says what a package is.
   *
   * @param version as the registry names it
   * @param bytes of its file
   * @param sha256 of its file
   */
  record Entry(String version, long bytes, String sha256) {}

  private static final String HEAD =
      "# Packages of the pipeline: name, version, bytes, SHA-256. Written by jneox corpus fetch.\n";

  private final Path file;
  private final TreeMap<PackageName, Entry> entries = new TreeMap<>();

  private PackageLock(Path file) {
    this.file = file;
  }

  /** Returns where the lock of a pipeline is, or would be. */
  static Path path(Path pipeline) {
    String name = String.valueOf(pipeline.getFileName()).replaceFirst("\\.(yml|yaml)$", "");
    return pipeline.resolveSibling(name + ".lock");
  }

  /**
   * Returns the lock beside a pipeline, {@code NAME.lock}; it has no entries where there is none.
   */
  static PackageLock beside(Path pipeline) {
    PackageLock lock = new PackageLock(path(pipeline));
    if (!Files.exists(lock.file)) {
      return lock;
    }
    try {
      int number = 0;
      for (String line : Files.readAllLines(lock.file)) {
        number++;
        if (!line.isBlank() && !line.startsWith("#")) {
          lock.read(number, line);
        }
      }
    } catch (IOException e) {
      throw StorageException.ofText(lock.file, e);
    }
    return lock;
  }

  private void read(int number, String line) {
    String[] fields = line.strip().split(" +");
    Optional<PackageName> name = PackageName.of(fields[0]);
    if (fields.length != 4
        || name.isEmpty()
        || !fields[2].matches("\\d{1,15}")
        || !fields[3].matches("[0-9a-f]{64}")) {
      throw InputException.in(
          file, "line " + number, "a package's name, version, bytes and SHA-256", line.strip());
    }
    entries.put(name.get(), new Entry(fields[1], Long.parseLong(fields[2]), fields[3]));
  }

  Path file() {
    return file;
  }

  Optional<Entry> entry(PackageName name) {
    return Optional.ofNullable(entries.get(name));
  }

  /** Adds or replaces an entry and writes the file. */
  void put(PackageName name, Entry entry) {
    entries.put(name, entry);
    StringBuilder text = new StringBuilder(HEAD);
    entries.forEach(
        (key, value) ->
            text.append(key)
                .append(' ')
                .append(value.version())
                .append(' ')
                .append(value.bytes())
                .append(' ')
                .append(value.sha256())
                .append('\n'));
    AtomicFile.write(file, text.toString().getBytes(StandardCharsets.UTF_8));
  }
}
