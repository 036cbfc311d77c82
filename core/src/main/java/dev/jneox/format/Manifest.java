package dev.jneox.format;

import dev.jneox.format.hf.HfFolder;
import dev.jneox.io.AtomicFile;
import dev.jneox.io.FolderFiles;
import dev.jneox.io.InputException;
import dev.jneox.io.InputFile;
import dev.jneox.io.JneoxException;
import dev.jneox.io.JsonObject;
import dev.jneox.io.StorageException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import java.util.zip.CRC32C;

/**
 * Lists the files of a checkpoint with size and checksum, so that training never continues from a
 * damaged one.
 *
 * <p>The file {@code manifest.crc32c} is UTF-8 text: a header with the format version and the
 * number of the save, a line per file, and the CRC-32C of all lines above, which covers the
 * manifest itself. Numbers of saves increase within the folder of a run. CRC-32C finds every burst
 * of up to 32 flipped bits and misses longer damage once in 4 billion cases; it does not detect
 * deliberate changes.
 *
 * <pre>
 *   jneox-manifest 1 save 7
 *   5f1c0a9e 1048576 model.safetensors
 *   20cd8f02 118 training.json
 *   7a0b11fe
 * </pre>
 *
 * @param save number of the save, from 1
 * @param files by path relative to the checkpoint, with {@code /} between names
 */
public record Manifest(long save, Map<String, Entry> files) {
  /** The name of the manifest in a checkpoint. */
  public static final String NAME = "manifest.crc32c";

  private static final int VERSION = 1;
  private static final Pattern HEADER =
      Pattern.compile("jneox-manifest (\\d{1,9}) save (\\d{1,18})");
  private static final Pattern LINE =
      Pattern.compile("([0-9a-f]{8}) (\\d{1,18}) (.+)", Pattern.DOTALL);

  /**
   * Files from which {@link HfFolder} may read weights: an unlisted one could replace a listed one.
   */
  private static final String WEIGHT_FILE = ".+\\.(safetensors|bin)(\\.index\\.json)?";

  /** Length of the last line: eight digits and the line end. */
  private static final int LAST = 9;

  private static final long MAX_BYTES = 16 << 20;

  /** Bytes read at a time, so that they are still in the second-level cache for the checksum. */
  private static final int CHUNK = 1 << 20;

  /**
   * Describes the content of a file.
   *
   * @param crc32c its checksum
   */
  public record Entry(int crc32c, long bytes) {}

  /** Copies the entries. */
  public Manifest {
    files = Collections.unmodifiableMap(new LinkedHashMap<>(files));
  }

  /** Reads every file of a folder and writes its manifest. */
  public static void write(Path folder, long save) {
    StringBuilder text = new StringBuilder("jneox-manifest %d save %d\n".formatted(VERSION, save));
    for (Path file : files(folder)) {
      try {
        Entry entry = entry(file);
        text.append(
            "%08x %d %s\n".formatted(entry.crc32c, entry.bytes, escaped(name(folder, file))));
      } catch (IOException e) {
        throw unreadable(file, e);
      }
    }
    byte[] lines = text.toString().getBytes(StandardCharsets.UTF_8);
    AtomicFile.write(
        folder.resolve(NAME),
        text.append("%08x\n".formatted(crc(lines, lines.length)))
            .toString()
            .getBytes(StandardCharsets.UTF_8));
  }

  /** Returns whether a checkpoint has a manifest. */
  public static boolean exists(Path folder) {
    return Files.exists(folder.resolve(NAME));
  }

  /**
   * Reads the manifest of a checkpoint.
   *
   * @throws InputException when there is none or it is damaged
   */
  public static Manifest read(Path folder) {
    Path file = folder.resolve(NAME);
    byte[] bytes;
    try {
      if (!Files.exists(file)) {
        throw new InputException(file + ": is missing, so the checkpoint cannot be verified");
      }
      bytes = InputFile.bytes(file, MAX_BYTES);
    } catch (IOException e) {
      throw unreadable(file, e);
    }
    int lines = Math.max(0, bytes.length - LAST);
    String expected = "%08x\n".formatted(crc(bytes, lines));
    String found = new String(bytes, lines, bytes.length - lines, StandardCharsets.ISO_8859_1);
    if (!found.equals(expected)) {
      throw damaged(
          file,
          "CRC-32C " + expected.strip() + " in the last line",
          JsonObject.quoted(found.strip()));
    }
    return parse(file, new String(bytes, 0, lines, StandardCharsets.UTF_8).lines().toList());
  }

  private static Manifest parse(Path file, List<String> lines) {
    Matcher header = HEADER.matcher(lines.isEmpty() ? "" : lines.getFirst());
    if (!header.matches() || Integer.parseInt(header.group(1)) != VERSION) {
      throw InputException.in(
          file,
          "line 1",
          "jneox-manifest " + VERSION + " save N",
          lines.isEmpty() ? "nothing" : JsonObject.shortened(lines.getFirst()));
    }
    Map<String, Entry> files = new LinkedHashMap<>();
    for (int i = 1; i < lines.size(); i++) {
      Matcher line = LINE.matcher(lines.get(i));
      if (!line.matches()) {
        throw InputException.in(
            file,
            "line " + (i + 1),
            "checksum, bytes and name of a file",
            JsonObject.shortened(lines.get(i)));
      }
      Entry entry =
          new Entry(Integer.parseUnsignedInt(line.group(1), 16), Long.parseLong(line.group(2)));
      files.put(name(file, "line " + (i + 1), line.group(3)), entry);
    }
    return new Manifest(Long.parseLong(header.group(2)), files);
  }

  /** Returns the name of a file of the checkpoint, from the form that {@link #escaped} gives it. */
  private static String name(Path file, String place, String escaped) {
    try {
      String name = escaped.translateEscapes();
      Path path = InputFile.path(file, place, name).normalize();
      if (!path.isAbsolute() && !path.startsWith("..")) {
        return name;
      }
    } catch (IllegalArgumentException e) {
      // No such escape; the error below says where.
    }
    throw InputException.in(file, place, "the name of a file", JsonObject.quoted(escaped));
  }

  /** Returns the number of a checkpoint's save; 0 without a manifest. */
  public static long save(Path folder) {
    try {
      return read(folder).save;
    } catch (JneoxException e) {
      return 0;
    }
  }

  /**
   * Compares every file of a checkpoint with its manifest.
   *
   * @throws InputException for the first file that differs
   */
  public static void verify(Path folder) {
    read(folder)
        .problems(folder)
        .findFirst()
        .ifPresent(
            problem -> {
              throw new InputException(problem);
            });
  }

  /** Returns one line for each file that differs. Files are read as the stream is consumed. */
  public Stream<String> problems(Path folder) {
    Stream<String> listed =
        files.entrySet().stream()
            .flatMap(file -> problem(folder.resolve(file.getKey()), file.getValue()).stream());
    Stream<String> others =
        Stream.of(folder)
            .flatMap(f -> files(f).stream())
            .filter(
                file ->
                    file.getFileName().toString().matches(WEIGHT_FILE)
                        && !files.containsKey(name(folder, file)))
            .map(
                file ->
                    file
                        + ": is not of this checkpoint: "
                        + NAME
                        + " does not list it, yet weights would be read from it");
    return Stream.concat(listed, others);
  }

  private static Optional<String> problem(Path file, Entry expected) {
    if (!Files.isRegularFile(file)) {
      return Optional.of(file + ": is missing: " + NAME + " lists it");
    }
    try {
      Entry found =
          Files.size(file) == expected.bytes ? entry(file) : new Entry(0, Files.size(file));
      if (found.bytes != expected.bytes) {
        return Optional.of(damaged(file, expected.bytes + " bytes", "" + found.bytes).getMessage());
      }
      return found.crc32c == expected.crc32c
          ? Optional.empty()
          : Optional.of(
              damaged(
                      file,
                      "CRC-32C %08x".formatted(expected.crc32c),
                      "%08x".formatted(found.crc32c))
                  .getMessage());
    } catch (IOException e) {
      return Optional.of(unreadable(file, e).getMessage());
    }
  }

  private static InputException damaged(Path file, String expected, String found) {
    return InputException.in(file, "damaged", expected, found);
  }

  private static StorageException unreadable(Path file, IOException e) {
    return StorageException.of(file, "cannot be read", e);
  }

  /** Lists all regular files below a folder except the manifest, sorted by path. */
  private static List<Path> files(Path folder) {
    return FolderFiles.deep(folder).stream()
        .filter(file -> !file.equals(folder.resolve(NAME)))
        .toList();
  }

  private static String name(Path folder, Path file) {
    return folder.relativize(file).toString().replace(file.getFileSystem().getSeparator(), "/");
  }

  /** Escapes line breaks in the name of a file, because a recipe may have any name. */
  private static String escaped(String name) {
    return name.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r");
  }

  /**
   * Reads a file instead of mapping it: if it shrinks or cannot be read, that is an error and does
   * not kill the process.
   */
  private static Entry entry(Path file) throws IOException {
    CRC32C crc = new CRC32C();
    long bytes = 0;
    try (FileChannel channel = FileChannel.open(file)) {
      ByteBuffer buffer = ByteBuffer.allocateDirect(Math.clamp(channel.size(), 1, CHUNK));
      for (int n = channel.read(buffer); n >= 0; n = channel.read(buffer.clear())) {
        bytes += n;
        crc.update(buffer.flip());
      }
    }
    return new Entry((int) crc.getValue(), bytes);
  }

  private static int crc(byte[] bytes, int length) {
    CRC32C crc = new CRC32C();
    crc.update(bytes, 0, length);
    return (int) crc.getValue();
  }
}
