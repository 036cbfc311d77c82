package dev.jneox.hub;

import dev.jneox.io.FolderFiles;
import dev.jneox.io.InputException;
import dev.jneox.io.InputFile;
import dev.jneox.io.JsonObject;
import dev.jneox.io.Progress;
import dev.jneox.io.Sha256;
import dev.jneox.io.StorageException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Finds the hashes that files of a model should have, in whatever says so beside them: a manifest
 * {@code SHA256SUMS} as {@code sha256sum} writes it, the records that a download from the hub
 * leaves in {@code .cache/huggingface/download}, or a hub cache, where a file is a link to a blob
 * named by its hash. The hub gives the SHA-256 of large files and git's SHA-1 of others.
 */
public final class KnownHashes {
  /** The file that lists the hashes of its folder. */
  public static final String MANIFEST = "SHA256SUMS";

  private static final Path RECORDS = Path.of(".cache", "huggingface", "download");
  private static final Pattern LINE = Pattern.compile("([0-9a-fA-F]{64})[ \t]+[*]?(.+)");
  private static final Pattern HASH = Pattern.compile("[0-9a-f]{64}|[0-9a-f]{40}");
  private static final long MAX_BYTES = 16 << 20;

  /**
   * What a file should hash to.
   *
   * @param hash SHA-256, or git's SHA-1 of 40 digits
   * @param source who says so, in words
   */
  public record Known(String hash, String source) {
    /** Computes the hash of the file by the same algorithm. */
    public String of(Path file, Progress progress) {
      return hash.length() == 64 ? Sha256.of(file, progress) : Sha256.gitBlob(file, progress);
    }
  }

  private KnownHashes() {}

  /**
   * Finds the hashes of a folder's files, or of one file, by absolute path; none when nothing says
   * so.
   *
   * @throws InputException when a manifest has a line that is no hash of a file of the folder
   */
  public static Map<Path, Known> of(Path path) {
    boolean whole = Files.isDirectory(path);
    Path given = path.toAbsolutePath().normalize();
    Path folder = whole ? given : given.resolveSibling("");
    Map<Path, Known> known = new LinkedHashMap<>();
    for (Path file : FolderFiles.of(given)) {
      hub(folder, file).ifPresent(k -> known.put(file, k));
    }
    if (Files.isRegularFile(folder.resolve(MANIFEST))) {
      manifest(folder.resolve(MANIFEST))
          .forEach((name, hash) -> known.put(folder.resolve(name), new Known(hash, MANIFEST)));
    }
    known.keySet().removeIf(file -> !whole && !file.equals(given));
    return known;
  }

  private static Map<String, String> manifest(Path file) {
    Map<String, String> hashes = new LinkedHashMap<>();
    List<String> lines = lines(file);
    for (int i = 0; i < lines.size(); i++) {
      if (lines.get(i).isBlank()) {
        continue;
      }
      Matcher line = LINE.matcher(lines.get(i));
      Path name =
          line.matches()
              ? InputFile.path(file, "line " + (i + 1), line.group(2)).normalize()
              : null;
      if (name == null || name.isAbsolute() || name.startsWith("..")) {
        throw InputException.in(
            file,
            "line " + (i + 1),
            "64 hexadecimal digits and a file of this folder",
            JsonObject.quoted(lines.get(i)));
      }
      hashes.put(name.toString(), line.group(1).toLowerCase(Locale.ROOT));
    }
    return hashes;
  }

  private static Optional<Known> hub(Path folder, Path file) {
    Path record = folder.resolve(RECORDS).resolve(folder.relativize(file) + ".metadata");
    if (Files.isRegularFile(record)) {
      // The commit, the hash, and the time of the download.
      List<String> lines = lines(record);
      return lines.size() < 2
          ? Optional.empty()
          : known(lines.get(1), "the record of its download");
    }
    try {
      Path blob = file.toRealPath();
      boolean linked = Files.isSymbolicLink(file) && blob.resolveSibling("").endsWith("blobs");
      return linked
          ? known(blob.getFileName().toString(), "the name of its blob")
          : Optional.empty();
    } catch (IOException e) {
      throw StorageException.of(file, "cannot be read", e);
    }
  }

  private static Optional<Known> known(String hash, String source) {
    return HASH.matcher(hash).matches() ? Optional.of(new Known(hash, source)) : Optional.empty();
  }

  private static List<String> lines(Path file) {
    try {
      return InputFile.text(file, MAX_BYTES).lines().toList();
    } catch (IOException e) {
      throw StorageException.of(file, "cannot be read", e);
    }
  }
}
