package dev.jneox.train;

import dev.jneox.io.StorageException;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import java.util.zip.CRC32C;

/**
 * Writes scalars over steps for TensorBoard, to a file {@code events.out.tfevents.*}. Each call
 * writes one complete record.
 *
 * <p>A record is framed as in a TFRecord file: length (8 bytes), masked CRC-32C of the length (4),
 * the data, masked CRC-32C of the data (4), all little-endian. The data is a protocol-buffer Event
 * of which these fields are used: 1 wall_time (double, seconds), 2 step (varint), 3 file_version
 * (string) or 5 summary {1 value {1 tag (string), 2 simple_value (float)}} or 7 session_log {1
 * status (1 is start)}.
 *
 * <p>TensorBoard reads all event files of a folder as one run, so a resumed run adds a file. Its
 * session_log makes TensorBoard drop the values of earlier files from the resumed step on.
 * TensorBoard reads the files in the order of their names, which begin with a time. So a new file
 * has a later time than the others, even where the clock was set back.
 */
public final class EventFile implements AutoCloseable {
  private static final Pattern NAME = Pattern.compile("events\\.out\\.tfevents\\.(\\d{1,10})\\..*");

  private final Path path;
  private final FileChannel channel;
  private double time; // of the last record, in seconds

  private EventFile(Path path, FileChannel channel, long seconds) {
    this.path = path;
    this.channel = channel;
    this.time = seconds;
  }

  /**
   * Starts a new file.
   *
   * @param folder created when it does not exist
   * @param nextStep the first step that will be written; TensorBoard drops the values that earlier
   *     files have from it on
   * @throws StorageException when the file cannot be written
   */
  public static EventFile create(Path folder, long nextStep) {
    EventFile file = open(folder);
    file.append(0, new Message().bytes(3, "brain.Event:2".getBytes(StandardCharsets.UTF_8)));
    file.append(nextStep, new Message().bytes(7, new Message().varint(1, 1).toBytes()));
    return file;
  }

  private static EventFile open(Path folder) {
    try {
      Files.createDirectories(folder);
      long seconds = Math.max(System.currentTimeMillis() / 1000, 1 + last(folder));
      for (int n = 0; ; n++) {
        Path path =
            folder.resolve(
                "events.out.tfevents.%010d.jneox.%d.%d"
                    .formatted(seconds, ProcessHandle.current().pid(), n));
        try {
          return new EventFile(
              path,
              FileChannel.open(path, StandardOpenOption.WRITE, StandardOpenOption.CREATE_NEW),
              seconds);
        } catch (FileAlreadyExistsException taken) {
          // two runs in one second
        }
      }
    } catch (IOException e) {
      throw StorageException.of(folder, "cannot be written", e);
    }
  }

  /** Returns the latest time in the name of a file, in seconds; 0 without one. */
  private static long last(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files
          .map(file -> NAME.matcher(file.getFileName().toString()))
          .filter(Matcher::matches)
          .mapToLong(name -> Long.parseLong(name.group(1)))
          .max()
          .orElse(0);
    }
  }

  /**
   * Writes the values of a step; they are in the file when this returns.
   *
   * @param values by tag, such as {@code train/lm_loss}
   * @throws StorageException when the file cannot be written
   */
  public void write(long step, Map<String, Double> values) {
    Message summary = new Message();
    values.forEach(
        (tag, value) ->
            summary.bytes(
                1,
                new Message()
                    .bytes(1, tag.getBytes(StandardCharsets.UTF_8))
                    .fixed32(2, value.floatValue())
                    .toBytes()));
    append(step, new Message().bytes(5, summary.toBytes()));
  }

  /** Returns the path of the file. */
  public Path path() {
    return path;
  }

  private void append(long step, Message what) {
    time = Math.max(time, System.currentTimeMillis() / 1000.0);
    byte[] event = new Message().fixed64(1, time).varint(2, step).all(what).toBytes();
    ByteBuffer record =
        ByteBuffer.allocate(16 + event.length).order(ByteOrder.LITTLE_ENDIAN).putLong(event.length);
    record.putInt(maskedCrc(record.array(), 8)).put(event).putInt(maskedCrc(event, event.length));
    try {
      record.flip();
      while (record.hasRemaining()) {
        channel.write(record);
      }
    } catch (IOException e) {
      throw StorageException.of(path, "cannot be written", e);
    }
  }

  /**
   * Computes a CRC-32C, masked as TFRecord does it: rotated right by 15 bits, plus a constant. A
   * CRC of data that contain a CRC would be weak without the mask.
   */
  private static int maskedCrc(byte[] data, int length) {
    CRC32C crc = new CRC32C();
    crc.update(data, 0, length);
    return Integer.rotateRight((int) crc.getValue(), 15) + 0xa282ead8;
  }

  @Override
  public void close() {
    try {
      channel.close();
    } catch (IOException e) {
      throw StorageException.of(path, "cannot be written", e);
    }
  }

  /** Writes the fields of a protocol-buffer message. */
  private static final class Message {
    private final ByteArrayOutputStream out = new ByteArrayOutputStream();

    Message varint(int field, long value) {
      tag(field, 0);
      return varint(value);
    }

    Message fixed64(int field, double value) {
      tag(field, 1);
      return little(Double.doubleToRawLongBits(value), 8);
    }

    Message bytes(int field, byte[] content) {
      tag(field, 2);
      varint(content.length);
      out.writeBytes(content);
      return this;
    }

    Message fixed32(int field, float value) {
      tag(field, 5);
      return little(Float.floatToRawIntBits(value), 4);
    }

    Message all(Message other) {
      out.writeBytes(other.toBytes());
      return this;
    }

    byte[] toBytes() {
      return out.toByteArray();
    }

    private void tag(int field, int wireType) {
      out.write(field << 3 | wireType);
    }

    /** Writes seven bits per byte, the lowest first; the high bit says that more follow. */
    private Message varint(long value) {
      for (; (value & ~0x7fL) != 0; value >>>= 7) {
        out.write((int) (value & 0x7f | 0x80));
      }
      out.write((int) value);
      return this;
    }

    private Message little(long bits, int bytes) {
      for (int i = 0; i < bytes; i++) {
        out.write((int) (bits >>> 8 * i));
      }
      return this;
    }
  }
}
