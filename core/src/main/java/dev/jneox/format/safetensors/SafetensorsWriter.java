package dev.jneox.format.safetensors;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import dev.jneox.format.safetensors.Safetensors.Entry;
import dev.jneox.io.AtomicFile;
import dev.jneox.io.StorageException;
import dev.jneox.weights.DeclaredTensors;
import dev.jneox.weights.Dtype;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Writes a safetensors file tensor by tensor. Tensors are declared first; then the bytes of each
 * follow in that order, so that one tensor at a time is in memory. The file appears under its name
 * at {@link #commit}.
 */
public final class SafetensorsWriter implements AutoCloseable {
  /** The metadata that HF transformers requires. */
  public static final Map<String, String> PYTORCH = Map.of("format", "pt");

  /** The alignment of the data in files of the reference implementation. */
  private static final int ALIGNMENT = 8;

  /** Bytes per system call. */
  private static final long CHUNK = 16 << 20;

  /**
   * Declares a tensor to be written.
   *
   * @param name its name
   * @param dtype type of its elements
   * @param shape length of each axis
   */
  public record Declared(String name, Dtype dtype, List<Long> shape) {
    /** Copies the shape and checks that the size is a whole number of bytes. */
    public Declared {
      shape = List.copyOf(shape);
      if (shape.stream().anyMatch(n -> n < 0) || dtype.bytes(shape) < 0) {
        throw new IllegalArgumentException(
            name + ": " + dtype + shape + " is no whole number of bytes");
      }
    }

    /** Returns the size of the tensor. */
    public long bytes() {
      return dtype.bytes(shape);
    }
  }

  private final Path file;
  private final AtomicFile atomic;
  private final FileChannel channel;
  private final DeclaredTensors coming;

  /**
   * Writes the header, with the alignment of the reference implementation.
   *
   * @param file appears at {@link #commit}
   * @param tensors in the order in which {@link #write} gets them; wider types first, so that each
   *     is aligned
   * @param metadata free-form entries
   * @throws IllegalArgumentException when a name is used twice or a tensor would not be aligned to
   *     its element size
   */
  public SafetensorsWriter(Path file, List<Declared> tensors, Map<String, String> metadata) {
    this(file, tensors, metadata, ALIGNMENT);
  }

  /**
   * Writes the header.
   *
   * @param file appears at {@link #commit}
   * @param tensors in the order in which {@link #write} gets them
   * @param metadata free-form entries
   * @param alignment the data begins at a multiple of so many bytes
   */
  public SafetensorsWriter(
      Path file, List<Declared> tensors, Map<String, String> metadata, int alignment) {
    this.file = file;
    List<Entry> entries = place(tensors);
    this.coming =
        new DeclaredTensors(
            entries.stream().map(t -> new DeclaredTensors.Item(t.name(), t.bytes())).toList());
    this.atomic = new AtomicFile(file);
    FileChannel opened = null;
    try {
      opened =
          FileChannel.open(atomic.path(), StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
      writeFully(opened, header(entries, metadata, alignment));
    } catch (IOException e) {
      closeAll(opened);
      throw failed(e);
    }
    this.channel = opened;
  }

  private static List<Entry> place(List<Declared> tensors) {
    List<Entry> entries = new ArrayList<>();
    Set<String> names = new HashSet<>();
    long at = 0;
    for (Declared tensor : tensors) {
      if (!names.add(tensor.name()) || tensor.name().equals(SafetensorsHeader.METADATA)) {
        throw new IllegalArgumentException("tensor name " + tensor.name() + " is taken");
      }
      if (at % tensor.dtype().alignment() != 0) {
        throw new IllegalArgumentException(
            tensor.name() + " would begin at " + at + ", not a multiple of its element size");
      }
      long end = Math.addExact(at, tensor.bytes());
      entries.add(new Entry(tensor.name(), tensor.dtype(), tensor.shape(), at, end));
      at = end;
    }
    return entries;
  }

  /** Formats length and JSON, padded with spaces so that the data is aligned. */
  private static ByteBuffer header(List<Entry> entries, Map<String, String> metadata, int alignment)
      throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (JsonGenerator json = new JsonFactory().createGenerator(bytes)) {
      json.writeStartObject();
      if (!metadata.isEmpty()) {
        json.writeObjectFieldStart(SafetensorsHeader.METADATA);
        for (Map.Entry<String, String> item : metadata.entrySet()) {
          json.writeStringField(item.getKey(), item.getValue());
        }
        json.writeEndObject();
      }
      for (Entry entry : entries) {
        json.writeObjectFieldStart(entry.name());
        json.writeStringField("dtype", entry.dtype().name());
        json.writeFieldName("shape");
        json.writeArray(entry.axes(), 0, entry.shape().size());
        json.writeFieldName("data_offsets");
        json.writeArray(new long[] {entry.begin(), entry.end()}, 0, 2);
        json.writeEndObject();
      }
      json.writeEndObject();
    }
    int padding = Math.floorMod(-(Long.BYTES + bytes.size()), alignment);
    bytes.write(" ".repeat(padding).getBytes(StandardCharsets.US_ASCII));
    if (bytes.size() > SafetensorsHeader.MAX_BYTES) {
      throw new IllegalArgumentException(
          "a header of " + bytes.size() + " bytes is more than the format allows");
    }
    ByteBuffer buffer =
        ByteBuffer.allocate(Long.BYTES + bytes.size()).order(ByteOrder.LITTLE_ENDIAN);
    return buffer.putLong(bytes.size()).put(bytes.toByteArray()).flip();
  }

  /**
   * Writes the next declared tensor, or the next part of it. The name and the sizes must match the
   * declaration.
   */
  public void write(String name, MemorySegment data) {
    coming.take(name, data.byteSize());
    try {
      for (long at = 0; at < data.byteSize(); at += CHUNK) {
        writeFully(channel, data.asSlice(at, Math.min(CHUNK, data.byteSize() - at)).asByteBuffer());
      }
    } catch (IOException e) {
      throw failed(e);
    }
  }

  private static void writeFully(FileChannel channel, ByteBuffer buffer) throws IOException {
    while (buffer.hasRemaining()) {
      channel.write(buffer);
    }
  }

  /** Forces the file to disk and moves it to its name. */
  public void commit() {
    coming.requireAll();
    try {
      channel.close();
    } catch (IOException e) {
      throw failed(e);
    }
    atomic.commit();
  }

  private StorageException failed(IOException e) {
    return StorageException.of(file, "cannot be written", e);
  }

  private void closeAll(@Nullable FileChannel opened) {
    try (atomic) {
      if (opened != null) {
        opened.close();
      }
    } catch (IOException e) {
      throw failed(e);
    }
  }

  /** Deletes the file unless it was committed. */
  @Override
  public void close() {
    closeAll(channel);
  }
}
