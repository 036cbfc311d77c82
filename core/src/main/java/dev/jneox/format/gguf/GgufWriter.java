package dev.jneox.format.gguf;

import dev.jneox.format.gguf.GgufValue.Type;
import dev.jneox.io.AtomicFile;
import dev.jneox.io.StorageException;
import dev.jneox.weights.DeclaredTensors;
import dev.jneox.weights.GgmlType;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.LongConsumer;
import org.jspecify.annotations.Nullable;

/**
 * Writes a GGUF file of version 3 tensor by tensor. Metadata and tensors are declared first; then
 * the bytes of each tensor follow in that order, so that one tensor at a time is in memory. The
 * file appears under its name at {@link #commit}.
 */
public final class GgufWriter implements AutoCloseable {
  /** Bytes per system call. */
  private static final long CHUNK = 16 << 20;

  private static final int VERSION = 3;

  /**
   * Declares a tensor to be written.
   *
   * @param name its name
   * @param type of its elements
   * @param shape length of each axis, rows first; a row is a whole number of blocks
   */
  public record Declared(String name, GgmlType type, List<Long> shape) {
    /** Copies the shape and checks that rows are whole blocks. */
    public Declared {
      shape = List.copyOf(shape);
      boolean whole = shape.isEmpty() || shape.getLast() % type.blockValues() == 0;
      if (shape.stream().anyMatch(n -> n < 1) || !whole) {
        throw new IllegalArgumentException(
            name + ": " + type + shape + " is not made of whole blocks");
      }
    }

    long bytes() {
      return type.bytes(shape.stream().reduce(1L, Math::multiplyExact));
    }
  }

  private final Path file;
  private final AtomicFile atomic;
  private final FileChannel channel;
  private final LongConsumer progress;
  private final DeclaredTensors coming;
  private long written;

  /**
   * Writes the header.
   *
   * @param file appears at {@link #commit}
   * @param metadata in the order of the file, without {@code general.alignment}
   * @param tensors in the order in which {@link #write} gets them
   * @param progress receives the bytes written; they add up to the size of the file
   */
  public GgufWriter(
      Path file, Map<String, GgufValue> metadata, List<Declared> tensors, LongConsumer progress) {
    this.file = file;
    this.coming =
        new DeclaredTensors(
            tensors.stream().map(t -> new DeclaredTensors.Item(t.name(), t.bytes())).toList());
    this.progress = progress;
    ByteBuffer header = header(metadata, tensors);
    this.atomic = new AtomicFile(file);
    FileChannel opened;
    try {
      opened =
          FileChannel.open(atomic.path(), StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
    } catch (IOException e) {
      closeAll(null);
      throw failed(e);
    }
    this.channel = opened;
    try {
      put(header);
      align();
    } catch (IOException e) {
      close();
      throw failed(e);
    }
  }

  /** Returns the size of a file with these tensors. */
  static long size(Map<String, GgufValue> metadata, List<Declared> tensors) {
    long size = aligned(header(metadata, tensors).remaining());
    for (Declared tensor : tensors) {
      size = aligned(size + tensor.bytes());
    }
    return size;
  }

  private static long aligned(long at) {
    return (at + GgufHeader.DEFAULT_ALIGNMENT - 1)
        / GgufHeader.DEFAULT_ALIGNMENT
        * GgufHeader.DEFAULT_ALIGNMENT;
  }

  private static ByteBuffer header(Map<String, GgufValue> metadata, List<Declared> tensors) {
    Little out = new Little();
    out.u32(GgufHeader.MAGIC);
    out.u32(VERSION);
    out.u64(tensors.size());
    out.u64(metadata.size());
    if (metadata.containsKey(GgufHeader.ALIGNMENT)) {
      throw new IllegalArgumentException("the alignment is the format's own");
    }
    metadata.forEach(
        (key, value) -> {
          out.text(key);
          out.value(value);
        });
    Set<String> names = new HashSet<>();
    long offset = 0;
    for (Declared tensor : tensors) {
      if (!names.add(tensor.name())) {
        throw new IllegalArgumentException("tensor name " + tensor.name() + " is taken");
      }
      out.text(tensor.name());
      out.u32(tensor.shape().size());
      tensor.shape().reversed().forEach(out::u64);
      out.u32(tensor.type().id());
      out.u64(offset);
      offset = aligned(offset + tensor.bytes());
    }
    return ByteBuffer.wrap(out.toByteArray());
  }

  /** Builds little-endian bytes. */
  private static final class Little extends ByteArrayOutputStream {
    void u32(int value) {
      number(value, Integer.BYTES);
    }

    void u64(long value) {
      number(value, Long.BYTES);
    }

    void number(long value, int bytes) {
      writeBytes(
          Arrays.copyOf(
              ByteBuffer.allocate(Long.BYTES).order(ByteOrder.LITTLE_ENDIAN).putLong(value).array(),
              bytes));
    }

    void text(String text) {
      byte[] utf8 = text.getBytes(StandardCharsets.UTF_8);
      u64(utf8.length);
      writeBytes(utf8);
    }

    void value(GgufValue value) {
      if (value.isArray()) {
        u32(Type.ARRAY.ordinal());
        u32(value.type().ordinal());
        u64(value.size());
      } else {
        u32(value.type().ordinal());
      }
      switch (value.value()) {
        case List<?> texts -> texts.forEach(text -> text((String) text));
        case long[] integers -> {
          for (long integer : integers) {
            number(integer, value.type().bytes());
          }
        }
        case double[] reals -> {
          for (double real : reals) {
            real(real, value.type());
          }
        }
        case String text -> text(text);
        case Boolean flag -> number(flag ? 1 : 0, 1);
        case Double real -> real(real, value.type());
        case Long integer -> number(integer, value.type().bytes());
        default -> throw new IllegalArgumentException("no value of the format: " + value);
      }
    }

    void real(double value, Type type) {
      number(
          type == Type.FLOAT32
              ? Float.floatToRawIntBits((float) value)
              : Double.doubleToRawLongBits(value),
          type.bytes());
    }
  }

  /**
   * Writes the next declared tensor, or the next part of it. The name and the sizes must match the
   * declaration.
   */
  public void write(String name, MemorySegment data) {
    boolean whole = coming.take(name, data.byteSize());
    try {
      for (long at = 0; at < data.byteSize(); at += CHUNK) {
        put(data.asSlice(at, Math.min(CHUNK, data.byteSize() - at)).asByteBuffer());
      }
      if (whole) {
        align();
      }
    } catch (IOException e) {
      throw failed(e);
    }
  }

  private void put(ByteBuffer buffer) throws IOException {
    long bytes = buffer.remaining();
    while (buffer.hasRemaining()) {
      channel.write(buffer);
    }
    written += bytes;
    progress.accept(bytes);
  }

  private void align() throws IOException {
    put(ByteBuffer.allocate((int) (aligned(written) - written)));
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
