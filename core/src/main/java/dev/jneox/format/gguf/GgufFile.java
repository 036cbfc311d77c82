package dev.jneox.format.gguf;

import static dev.jneox.io.JsonObject.quoted;

import dev.jneox.io.InputException;
import dev.jneox.io.MappedMemory;
import dev.jneox.io.StorageException;
import dev.jneox.weights.GgmlType;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Collection;
import java.util.Collections;
import java.util.List;

/**
 * Maps a GGUF file of version 2 or 3 read-only. It has metadata by key, then the place and type of
 * each tensor, then the tensors (<a
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
   * @param begin offset of its first byte in the file
   * @param bytes its size
   */
  public record Entry(String name, GgmlType type, List<Long> shape, long begin, long bytes) {
    /** Returns the shape as an array. */
    public long[] axes() {
      return shape.stream().mapToLong(Long::longValue).toArray();
    }
  }

  private final Path file;
  private final Arena arena = Arena.ofShared();
  private final MemorySegment whole;
  private final GgufHeader header;

  private GgufFile(Path file) {
    this.file = file;
    boolean opened = false;
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
      whole = channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), arena);
      header = GgufHeader.read(file, whole);
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
   * Maps {@code file} and checks everything before its tensors.
   *
   * @throws InputException when it is not a valid GGUF file
   */
  public static GgufFile open(Path file) {
    return new GgufFile(file);
  }

  /** Returns the path of the file. */
  public Path file() {
    return file;
  }

  /** Returns the metadata. */
  public GgufMetadata metadata() {
    return header.metadata();
  }

  /** Returns the tensors in the order of the file. */
  public Collection<Entry> entries() {
    return Collections.unmodifiableCollection(header.entries().values());
  }

  /** Returns whether the file has a tensor of that name. */
  public boolean contains(String name) {
    return header.entries().containsKey(name);
  }

  /**
   * Returns the place and type of a tensor.
   *
   * @throws InputException when the file has no tensor of that name
   */
  public Entry entry(String name) {
    Entry entry = header.entries().get(name);
    if (entry == null) {
      throw new InputException(file + ": has no tensor " + quoted(name));
    }
    return entry;
  }

  /** Returns the bytes of a tensor in the mapped file: its rows, block by block. */
  public MemorySegment data(String name) {
    Entry entry = entry(name);
    if (!arena.scope().isAlive()) {
      throw new IllegalStateException(file + " is closed");
    }
    return whole.asSlice(entry.begin(), entry.bytes());
  }

  /** Returns resident pages to the system; a later read loads them again. */
  public void release() {
    if (arena.scope().isAlive()) {
      MappedMemory.release(whole);
    }
  }

  /** Unmaps the file. */
  @Override
  public void close() {
    if (arena.scope().isAlive()) {
      arena.close();
    }
  }
}
