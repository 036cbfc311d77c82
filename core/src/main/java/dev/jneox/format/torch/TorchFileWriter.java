package dev.jneox.format.torch;

import dev.jneox.io.AtomicFile;
import dev.jneox.io.StorageException;
import dev.jneox.weights.Dtype;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.zip.CRC32;

/**
 * Writes a file of {@code torch.save} tensor by tensor, in the zip format of PyTorch 1.6 and later.
 * Tensors are declared first; then the bytes of each follow in that order, so that one tensor at a
 * time is in memory. The file appears under its name at {@link #commit}. {@link TorchFile} and
 * {@code torch.load(weights_only=True)} read it.
 */
public final class TorchFileWriter implements AutoCloseable {
  /** The alignment of storages in files of PyTorch. */
  private static final int ALIGNMENT = 64;

  /** Id of the extra field that pads to this alignment. */
  private static final int PADDING = 0x4246;

  private static final long CHUNK = 16 << 20; // bytes given to the system in one write

  /**
   * Declares a tensor to be written row by row.
   *
   * @param dtype type of its elements
   * @param shape length of each axis
   */
  public record Declared(Dtype dtype, List<Long> shape) {
    /** Copies the shape and checks that the size is a whole number of bytes. */
    public Declared {
      shape = List.copyOf(shape);
      if (shape.stream().anyMatch(n -> n < 0) || dtype.bytes(shape) < 0) {
        throw new IllegalArgumentException(
            dtype + " of shape " + shape + " is no whole number of bytes");
      }
    }

    long bytes() {
      return dtype.bytes(shape);
    }

    long elements() {
      return shape.stream().reduce(1L, (a, b) -> a * b);
    }

    List<Long> strides() {
      List<Long> strides = new ArrayList<>();
      long step = 1;
      for (Long length : shape.reversed()) {
        strides.addFirst(step);
        step *= Math.max(1, length);
      }
      return strides;
    }
  }

  /** Is an entry of the archive for its directory. */
  private record Written(byte[] name, long header, long size, int crc) {}

  private final Path file;
  private final String folder;
  private final boolean zip64;
  private final List<Declared> tensors = new ArrayList<>();
  private final Iterator<Declared> coming;
  private final List<Written> written = new ArrayList<>();
  private final AtomicFile atomic;
  private FileChannel channel;

  // The entry that is being written.
  private final CRC32 crc = new CRC32();
  private byte[] current = {};
  private long header;
  private long currentSize;
  private long missing;

  /**
   * Writes the pickle.
   *
   * @param file appears at {@link #commit}
   * @param root the object that {@code torch.load} returns: strings, numbers, booleans, null, lists
   *     and dictionaries with string keys (Map), with a {@link Declared} for each tensor; {@link
   *     #write} takes the tensors in that order
   */
  public TorchFileWriter(Path file, Object root) {
    this(file, root, LARGE);
  }

  /** A file that may grow beyond this size uses 64-bit sizes. */
  private static final long LARGE = TorchArchive.LARGE_32 - (64 << 20);

  TorchFileWriter(Path file, Object root, long large) {
    this.file = file;
    String name = file.getFileName().toString();
    int dot = name.lastIndexOf('.');
    this.folder = (dot > 0 ? name.substring(0, dot) : name) + "/";
    byte[] pickle = PickleWriter.write(root, tensors);
    this.coming = tensors.iterator();
    this.zip64 =
        tensors.stream().mapToLong(Declared::bytes).sum() + pickle.length + 512L * tensors.size()
                > large
            || tensors.size() > 60_000;
    this.atomic = new AtomicFile(file);
    boolean begun = false;
    try {
      channel =
          FileChannel.open(atomic.path(), StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
      entry("data.pkl", MemorySegment.ofArray(pickle));
      entry("byteorder", text("little"));
      begun = true;
    } catch (IOException e) {
      throw failed(e);
    } finally {
      if (!begun) {
        close();
      }
    }
  }

  private static MemorySegment text(String text) {
    return MemorySegment.ofArray(text.getBytes(StandardCharsets.US_ASCII));
  }

  /**
   * Writes the next declared tensor, or the next part of it, from native memory or an array of
   * bytes.
   */
  public void write(MemorySegment data) {
    try {
      if (missing == 0) {
        if (!coming.hasNext()) {
          throw new IllegalArgumentException("more tensors than were declared");
        }
        begin("data/" + (written.size() - 2), coming.next().bytes());
      }
      if (data.byteSize() > missing) {
        throw new IllegalArgumentException(
            "a tensor has " + missing + " bytes to come, got " + data.byteSize());
      }
      append(data);
    } catch (IOException e) {
      throw failed(e);
    }
  }

  private void entry(String name, MemorySegment data) throws IOException {
    begin(name, data.byteSize());
    append(data);
  }

  /** Writes the header of an entry whose bytes follow. */
  private void begin(String name, long size) throws IOException {
    byte[] path = (folder + name).getBytes(StandardCharsets.UTF_8);
    header = channel.position();
    int sizes = zip64 ? 20 : 0;
    int before = 30 + path.length + sizes + 4;
    int padding = Math.floorMod(-(header + before), ALIGNMENT);
    ByteBuffer out = little(before + padding);
    out.putInt(TorchArchive.LOCAL_HEADER);
    begin(out, 0, size, path.length, sizes + 4 + padding).put(path);
    if (zip64) {
      out.putShort((short) TorchArchive.ZIP64).putShort((short) 16).putLong(size).putLong(size);
    }
    out.putShort((short) PADDING).putShort((short) padding).put(new byte[padding]).flip();
    writeFully(out);
    current = path;
    currentSize = size;
    missing = size;
    crc.reset();
  }

  /** Writes bytes of the entry and, after the last one, its checksum into the header. */
  private void append(MemorySegment data) throws IOException {
    for (long at = 0; at < data.byteSize(); at += CHUNK) {
      MemorySegment chunk = data.asSlice(at, Math.min(CHUNK, data.byteSize() - at));
      crc.update(chunk.asByteBuffer());
      writeFully(chunk.asByteBuffer());
    }
    missing -= data.byteSize();
    if (missing == 0) {
      ByteBuffer sum = little(4).putInt((int) crc.getValue()).flip();
      for (long at = header + 14; sum.hasRemaining(); ) {
        at += channel.write(sum, at);
      }
      written.add(new Written(current, header, currentSize, (int) crc.getValue()));
    }
  }

  /**
   * Builds the fields that local headers and directory entries share: version, flags, method, time,
   * checksum, sizes, lengths.
   */
  private ByteBuffer begin(ByteBuffer out, int crc, long size, int name, int extra) {
    int held = zip64 ? (int) TorchArchive.LARGE_32 : (int) size;
    short earliestDay = 1 << 5 | 1; // 1 January 1980, so that the same tensors make the same file
    out.putShort((short) (zip64 ? 45 : 20)).putShort((short) 0).putShort((short) 0);
    return out.putShort((short) 0)
        .putShort(earliestDay)
        .putInt(crc)
        .putInt(held)
        .putInt(held)
        .putShort((short) name)
        .putShort((short) extra);
  }

  private void directory() throws IOException {
    long at = channel.position();
    for (Written entry : written) {
      int extra = zip64 ? 28 : 0;
      ByteBuffer out = little(46 + entry.name().length + extra);
      out.putInt(TorchArchive.CENTRAL_HEADER).putShort((short) (zip64 ? 45 : 20));
      begin(out, entry.crc(), entry.size(), entry.name().length, extra);
      out.putShort((short) 0).putShort((short) 0).putShort((short) 0).putInt(0);
      out.putInt(zip64 ? (int) TorchArchive.LARGE_32 : (int) entry.header()).put(entry.name());
      if (zip64) {
        out.putShort((short) TorchArchive.ZIP64).putShort((short) 24);
        out.putLong(entry.size()).putLong(entry.size()).putLong(entry.header());
      }
      writeFully(out.flip());
    }
    long end = channel.position();
    if (zip64) {
      ByteBuffer out =
          little(76)
              .putInt(TorchArchive.END_64)
              .putLong(44)
              .putShort((short) 45)
              .putShort((short) 45);
      out.putInt(0)
          .putInt(0)
          .putLong(written.size())
          .putLong(written.size())
          .putLong(end - at)
          .putLong(at);
      out.putInt(TorchArchive.END_64_LOCATOR).putInt(0).putLong(end).putInt(1);
      writeFully(out.flip());
    }
    ByteBuffer out = little(22).putInt(TorchArchive.END).putShort((short) 0).putShort((short) 0);
    short count = (short) (zip64 ? TorchArchive.LARGE_16 : written.size());
    out.putShort(count).putShort(count);
    out.putInt(zip64 ? (int) TorchArchive.LARGE_32 : (int) (end - at))
        .putInt(zip64 ? (int) TorchArchive.LARGE_32 : (int) at);
    writeFully(out.putShort((short) 0).flip());
  }

  private static ByteBuffer little(int bytes) {
    return ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN);
  }

  private void writeFully(ByteBuffer buffer) throws IOException {
    while (buffer.hasRemaining()) {
      channel.write(buffer);
    }
  }

  /** Writes the archive's directory, forces the file to disk and moves it to its name. */
  public void commit() {
    if (missing > 0 || coming.hasNext()) {
      throw new IllegalStateException(
          (missing > 0 ? missing + " bytes of a tensor" : coming.next())
              + " were declared and not written");
    }
    try {
      entry("version", text("3\n"));
      directory();
      channel.close();
    } catch (IOException e) {
      throw failed(e);
    }
    atomic.commit();
  }

  private StorageException failed(IOException e) {
    return StorageException.of(file, "cannot be written", e);
  }

  /** Deletes the file unless it was committed. */
  @Override
  public void close() {
    try (atomic) {
      if (channel != null) {
        channel.close();
      }
    } catch (IOException e) {
      throw failed(e);
    }
  }
}
