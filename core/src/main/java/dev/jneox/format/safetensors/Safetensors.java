package dev.jneox.format.safetensors;

import dev.jneox.io.InputException;
import dev.jneox.io.JsonObject;
import dev.jneox.io.MappedFile;
import dev.jneox.io.Placeholder;
import dev.jneox.io.StorageException;
import dev.jneox.weights.Dtype;
import dev.jneox.weights.TensorFile;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.Collection;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Maps a safetensors file read-only: eight bytes with the length of the header (little-endian), the
 * header (a JSON object of name to dtype, shape and offsets), then the tensors end to end, row by
 * row, little-endian (<a href="https://github.com/huggingface/safetensors">the format</a>). Opening
 * checks the whole header. No segment may be used after {@link #close}.
 */
public final class Safetensors implements TensorFile {
  private static final ValueLayout.OfLong LENGTH =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  /**
   * Describes one tensor of the file.
   *
   * @param name its name
   * @param dtype type of its elements
   * @param shape length of each axis; empty for a scalar
   * @param begin offset of its first byte in the data, which starts after the header
   * @param end offset after its last byte
   */
  public record Entry(String name, Dtype dtype, List<Long> shape, long begin, long end) {
    /** Returns the size of the tensor. */
    public long bytes() {
      return end - begin;
    }

    /** Returns the shape as an array. */
    public long[] axes() {
      return shape.stream().mapToLong(Long::longValue).toArray();
    }
  }

  private final Path file;
  private final Arena arena = Arena.ofShared();
  private final MappedFile mapped;
  private final MemorySegment data;
  private final SafetensorsHeader header;

  private Safetensors(Path file) {
    this.file = file;
    boolean opened = false;
    try {
      mapped = MappedFile.open(file, arena);
      MemorySegment whole = mapped.memory();
      long size = whole.byteSize();
      if (size < Long.BYTES + 2) {
        throw InputException.in(
            file, "byte 0", "a safetensors file of 10 bytes or more", size + " bytes");
      }
      long length = headerLength(whole);
      header =
          SafetensorsHeader.read(
              file, whole.asSlice(Long.BYTES, length), size - Long.BYTES - length);
      data = whole.asSlice(Long.BYTES + length);
      opened = true;
    } catch (IOException e) {
      throw StorageException.of(file, "cannot be read", e);
    } finally {
      if (!opened) {
        arena.close();
      }
    }
  }

  /**
   * Maps {@code file} and checks its header.
   *
   * @throws InputException when it is not a valid safetensors file
   */
  public static Safetensors open(Path file) {
    return new Safetensors(file);
  }

  private long headerLength(MemorySegment whole) {
    long length = whole.get(LENGTH, 0);
    long rest = whole.byteSize() - Long.BYTES;
    if (length < 2 || length > Math.min(rest, SafetensorsHeader.MAX_BYTES)) {
      throw InputException.in(
          file,
          "byte 0, header length",
          "2 to "
              + Math.min(rest, SafetensorsHeader.MAX_BYTES)
              + " in a file of "
              + whole.byteSize()
              + " bytes",
          Long.toUnsignedString(length) + Placeholder.hint(whole));
    }
    if (whole.get(ValueLayout.JAVA_BYTE, Long.BYTES) != '{') {
      String found = String.format("0x%02x", whole.get(ValueLayout.JAVA_BYTE, Long.BYTES));
      throw InputException.in(file, "byte 8, header", "{", found);
    }
    return length;
  }

  @Override
  public Path file() {
    return file;
  }

  @Override
  public Set<String> names() {
    return Collections.unmodifiableSet(header.entries().keySet());
  }

  @Override
  public Dtype dtype(String name) {
    return entry(name).dtype();
  }

  @Override
  public long[] shape(String name) {
    return entry(name).axes();
  }

  /** Returns the tensors in the order of the header. */
  public Collection<Entry> entries() {
    return Collections.unmodifiableCollection(header.entries().values());
  }

  /** Returns whether the file has a tensor of that name. */
  public boolean contains(String name) {
    return header.entries().containsKey(name);
  }

  /** Returns the free-form {@code __metadata__}; usually {@code format: pt}. */
  public Map<String, String> metadata() {
    return Collections.unmodifiableMap(header.metadata());
  }

  /**
   * Returns the place and type of a tensor.
   *
   * @throws InputException when the file has no tensor of that name
   */
  public Entry entry(String name) {
    Entry entry = header.entries().get(name);
    if (entry == null) {
      throw new InputException(file + ": has no tensor " + JsonObject.quoted(name));
    }
    return entry;
  }

  /** Returns the bytes of a tensor in the mapped file. */
  @Override
  public Optional<MemorySegment> data(String name) {
    Entry entry = entry(name);
    if (!arena.scope().isAlive()) {
      throw new IllegalStateException(file + " is closed");
    }
    check();
    return Optional.of(data.asSlice(entry.begin(), entry.bytes()));
  }

  @Override
  public MemorySegment read(String name, Arena into) {
    return data(name).orElseThrow();
  }

  @Override
  public void release() {
    if (arena.scope().isAlive()) {
      mapped.release();
    }
  }

  @Override
  public void check() {
    mapped.check();
  }

  /** Unmaps the file; further calls do nothing. */
  @Override
  public void close() {
    if (arena.scope().isAlive()) {
      arena.close();
    }
  }
}
