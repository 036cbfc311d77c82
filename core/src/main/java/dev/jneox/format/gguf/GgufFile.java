package dev.jneox.format.gguf;

import static dev.jneox.io.JsonObject.quoted;

import dev.jneox.io.InputException;
import dev.jneox.io.MappedFile;
import dev.jneox.io.StorageException;
import dev.jneox.weights.GgmlType;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;

/**
 * Maps a GGUF file of version 2 or 3 read-only, or all parts of a split one ({@code
 * NAME-00001-of-00003.gguf}, as llama.cpp's gguf-split writes them), of which any may be named. A
 * file has metadata by key, then the place and type of each tensor, then the tensors (<a
 * href="https://github.com/ggml-org/ggml/blob/master/docs/gguf.md">the format</a>). Opening checks
 * everything before the tensors. No segment may be used after {@link #close}.
 */
public final class GgufFile implements AutoCloseable {
  /**
   * Describes one tensor of the file.
   *
   * @param name its name
   * @param type of its elements
   * @param shape length of each axis, rows first; empty for a scalar
   * @param begin offset of its first byte in its file
   * @param bytes its size
   */
  public record Entry(String name, GgmlType type, List<Long> shape, long begin, long bytes) {
    /** Returns the shape as an array. */
    public long[] axes() {
      return shape.stream().mapToLong(Long::longValue).toArray();
    }
  }

  private static final String PART = "split.no";
  private static final String PARTS = "split.count";
  private static final String TENSORS = "split.tensors.count";

  /** The most parts that the format's names can count. */
  private static final int MAX_PARTS = 99_999;

  private static final Pattern PART_NAME = Pattern.compile("(.*)-(\\d{5})-of-(\\d{5})[.]gguf");

  /** Is a mapped file: all of a model, or a part. */
  private record Part(Path file, MappedFile mapped, GgufHeader header) {}

  private final Path file;
  private final Arena arena = Arena.ofShared();
  private final List<Part> parts = new ArrayList<>();
  private final Map<String, Part> places = new LinkedHashMap<>();

  private GgufFile(Path file) {
    this.file = file;
    boolean opened = false;
    try {
      Part first = map(file);
      int count = first.header.metadata().integer(PARTS, 0, 0, MAX_PARTS);
      if (count > 1 && first.header.metadata().integer(PART, 0, 0, MAX_PARTS) != 0) {
        String expected =
            "0, the first of " + count + " parts, which has to lie beside this one under its name";
        throw first.header.metadata().wrong(PART, expected);
      }
      for (int i = 1; i < count; i++) {
        mapPart(i, count);
      }
      checkCount(first.header.metadata());
      opened = true;
    } finally {
      if (!opened) {
        arena.close();
      }
    }
  }

  private Part map(Path path) {
    try {
      MappedFile mapped = MappedFile.open(path, arena);
      Part part = new Part(path, mapped, GgufHeader.read(path, mapped.memory()));
      parts.add(part);
      for (String name : part.header.entries().keySet()) {
        Part other = places.putIfAbsent(name, part);
        if (other != null) {
          throw InputException.in(
              path, "tensor " + quoted(name), "each tensor once", "it in " + other.file + " too");
        }
      }
      return part;
    } catch (IOException e) {
      throw StorageException.of(path, "cannot be read", e);
    }
  }

  private void mapPart(int index, int count) {
    Path path = part(file, index, count);
    if (path.equals(file) || !Files.exists(path)) {
      String name =
          path.equals(file)
              ? "NAME-%05d-of-%05d.gguf".formatted(index + 1, count)
              : path.getFileName().toString();
      throw InputException.in(
          file,
          "key " + PARTS,
          "all " + count + " parts of the model in one folder",
          "no " + name + " (fetch all parts and keep their names)");
    }
    GgufMetadata metadata = map(path).header.metadata();
    if (metadata.integer(PARTS, 0, MAX_PARTS) != count) {
      throw metadata.wrong(PARTS, count + ", as in " + file.getFileName());
    }
    if (metadata.integer(PART, 0, MAX_PARTS) != index) {
      throw metadata.wrong(PART, index + ", as the name of the file says");
    }
  }

  private void checkCount(GgufMetadata metadata) {
    if (parts.size() > 1
        && metadata.has(TENSORS)
        && metadata.integer(TENSORS, 0, Integer.MAX_VALUE) != places.size()) {
      throw metadata.wrong(TENSORS, places.size() + ", the tensors of all parts");
    }
  }

  /**
   * Returns the path of a part, from 0, of the same model; {@code file} if that is named freely.
   */
  private static Path part(Path file, int index, int count) {
    Matcher name = PART_NAME.matcher(file.getFileName().toString());
    return name.matches()
        ? file.resolveSibling("%s-%05d-of-%05d.gguf".formatted(name.group(1), index + 1, count))
        : file;
  }

  /**
   * Lists the files of a model by their names alone: all parts of a split one that are there, else
   * the file itself.
   */
  public static List<Path> files(Path file) {
    Matcher name = PART_NAME.matcher(file.getFileName().toString());
    if (!name.matches()) {
      return List.of(file);
    }
    int count = Integer.parseInt(name.group(3));
    List<Path> files =
        IntStream.range(0, count)
            .mapToObj(i -> part(file, i, count))
            .filter(Files::exists)
            .toList();
    return files.isEmpty() ? List.of(file) : files;
  }

  /**
   * Maps {@code file} and checks everything before its tensors. If it is a part of a split file,
   * the other parts beside it are mapped too.
   *
   * @throws InputException when it is not a valid GGUF file, or a part is missing
   */
  public static GgufFile open(Path file) {
    return new GgufFile(files(file).getFirst());
  }

  /** Returns the path of the file, or of its first part. */
  public Path file() {
    return file;
  }

  /** Returns the metadata, of a split file those of the first part. */
  public GgufMetadata metadata() {
    return parts.getFirst().header.metadata();
  }

  /** Returns the tensors in the order of the file, part after part. */
  public Collection<Entry> entries() {
    return places.keySet().stream().map(this::entry).toList();
  }

  /** Returns whether the file has a tensor of that name. */
  public boolean contains(String name) {
    return places.containsKey(name);
  }

  /**
   * Returns the place and type of a tensor.
   *
   * @throws InputException when the file has no tensor of that name
   */
  public Entry entry(String name) {
    return Objects.requireNonNull(place(name).header.entries().get(name));
  }

  private Part place(String name) {
    Part part = places.get(name);
    if (part == null) {
      throw new InputException(file + ": has no tensor " + quoted(name));
    }
    return part;
  }

  /** Returns the bytes of a tensor in the mapped file: its rows, block by block. */
  public MemorySegment data(String name) {
    Entry entry = entry(name);
    if (!arena.scope().isAlive()) {
      throw new IllegalStateException(file + " is closed");
    }
    place(name).mapped.check();
    return place(name).mapped.memory().asSlice(entry.begin(), entry.bytes());
  }

  /** Returns resident pages to the system; a later read loads them again. */
  public void release() {
    if (arena.scope().isAlive()) {
      parts.forEach(part -> part.mapped.release());
    }
  }

  /**
   * Checks that the file was not changed since it was opened.
   *
   * @throws dev.jneox.io.StorageException when it was
   */
  public void check() {
    parts.forEach(part -> part.mapped.check());
  }

  /** Unmaps the file. */
  @Override
  public void close() {
    if (arena.scope().isAlive()) {
      arena.close();
    }
  }
}
