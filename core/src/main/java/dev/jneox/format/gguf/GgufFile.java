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
 * A GGUF file of version 2 or 3, mapped into memory and never read whole: metadata by key, then
 * where each tensor lies and how it is stored, then the tensors (<a
 * href="https://github.com/ggml-org/ggml/blob/master/docs/gguf.md">the format</a>). What stands
 * before the tensors is checked in full on opening.
 *
 * <p>The mapping lives until {@link #close}: no segment of it may be touched after that. It is
 * read-only.
 */
public final class GgufFile implements AutoCloseable {
  /**
   * One tensor of the file.
   *
   * @param shape length of each axis rows first; empty for a scalar
   * @param begin offset of its first byte in the file
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

  /** Maps {@code file} and checks all that stands before its tensors. */
  public static GgufFile open(Path file) {
    return new GgufFile(file);
  }

  public Path file() {
    return file;
  }

  public GgufMetadata metadata() {
    return header.metadata();
  }

  /** Returns the tensors in the order of the file. */
  public Collection<Entry> entries() {
    return Collections.unmodifiableCollection(header.entries().values());
  }

  public boolean contains(String name) {
    return header.entries().containsKey(name);
  }

  /**
   * Returns where and what tensor {@code name} is; an {@link InputException} when the file has none
   * of that name.
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

  /**
   * Gives the memory of what was read back to the system; what is read again comes from the file.
   */
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
