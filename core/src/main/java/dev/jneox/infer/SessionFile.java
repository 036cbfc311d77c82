package dev.jneox.infer;

import dev.jneox.io.AtomicFile;
import dev.jneox.io.InputException;
import dev.jneox.io.InputFile;
import dev.jneox.io.StorageException;
import dev.jneox.model.ModelSpec;
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.zip.CRC32C;

/**
 * Reads and writes a sequence with keys and values of its full pages. Little-endian: {@link
 * #MAGIC}, version, type of keys and values, positions of a page, elements of a page, pages, ids,
 * bytes of the note, each an int; the fingerprint of the model; the note in UTF-8; the ids; the
 * pages; the CRC-32C of all that, a long.
 */
final class SessionFile implements AutoCloseable {
  private static final long MAGIC = 0x31_56_4b_58_4f_45_4e_4aL; // "JNEOXKV1"
  private static final int VERSION = 1;
  private static final int FINGERPRINT = 32;
  private static final int HEAD = Long.BYTES + 7 * Integer.BYTES + FINGERPRINT;
  private static final int LONGEST_NOTE = 64 << 20;
  private static final int CHUNK = 1 << 20;

  private final Path file;
  private final FileChannel channel;
  private final CRC32C checksum = new CRC32C();
  private final ByteBuffer buffer = ByteBuffer.allocateDirect(CHUNK).order(ByteOrder.LITTLE_ENDIAN);
  private int pages;
  private int[] ids = {};
  private String note = "";

  private SessionFile(Path file, FileChannel channel) {
    this.file = file;
    this.channel = channel;
  }

  /**
   * Writes a file, which appears whole or not at all.
   *
   * @param pages full ones, from the first position on
   * @throws InputException when the note is too long
   * @throws StorageException when it cannot be written
   */
  static void write(
      Path file,
      byte[] fingerprint,
      KvPrecision kv,
      KvFormat format,
      int[] ids,
      String note,
      List<KvPage> pages) {
    byte[] noteBytes = note.getBytes(StandardCharsets.UTF_8);
    if (noteBytes.length > LONGEST_NOTE) {
      throw new InputException(
          file + ": note: expected at most " + LONGEST_NOTE + " bytes, found " + noteBytes.length);
    }
    try (AtomicFile atomic = new AtomicFile(file)) {
      try (SessionFile out =
          new SessionFile(
              file,
              FileChannel.open(
                  atomic.path(), StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE))) {
        out.buffer.putLong(MAGIC).putInt(VERSION).putInt(kv.ordinal());
        out.buffer.putInt(KvFormat.POSITIONS).putInt(format.elements());
        out.buffer.putInt(pages.size()).putInt(ids.length).putInt(noteBytes.length);
        out.buffer.put(fingerprint);
        out.flush();
        for (int at = 0; at < noteBytes.length; at += CHUNK) {
          out.buffer.put(noteBytes, at, Math.min(CHUNK, noteBytes.length - at));
          out.flush();
        }
        out.ints(ids);
        for (KvPage page : pages) {
          out.ints(page.pairs);
          out.floats(page.floats);
        }
        out.buffer.putLong(out.checksum.getValue());
        out.flush();
      } catch (IOException e) {
        throw StorageException.of(file, "cannot be written", e);
      }
      atomic.commit();
    }
  }

  private void flush() throws IOException {
    buffer.flip();
    checksum.update(buffer);
    buffer.rewind();
    while (buffer.hasRemaining()) {
      channel.write(buffer);
    }
    buffer.clear();
  }

  private void ints(int[] values) throws IOException {
    for (int at = 0; at < values.length; at += CHUNK / Integer.BYTES) {
      int n = Math.min(CHUNK / Integer.BYTES, values.length - at);
      buffer.asIntBuffer().put(values, at, n);
      buffer.position(n * Integer.BYTES);
      flush();
    }
  }

  private void floats(float[] values) throws IOException {
    for (int at = 0; at < values.length; at += CHUNK / Float.BYTES) {
      int n = Math.min(CHUNK / Float.BYTES, values.length - at);
      buffer.asFloatBuffer().put(values, at, n);
      buffer.position(n * Float.BYTES);
      flush();
    }
  }

  /**
   * Opens a file and reads it up to the pages.
   *
   * @throws InputException when it is no session, not whole, or of another model
   * @throws StorageException when it cannot be read
   */
  static SessionFile open(
      Path file, byte[] fingerprint, KvPrecision kv, KvFormat format, ModelSpec spec) {
    try {
      InputFile.check(file);
      SessionFile in = new SessionFile(file, FileChannel.open(file, StandardOpenOption.READ));
      try {
        in.head(fingerprint, kv, format, spec);
        return in;
      } catch (IOException | RuntimeException e) {
        in.close();
        throw e;
      }
    } catch (IOException e) {
      throw unreadable(file, e);
    }
  }

  private static StorageException unreadable(Path file, IOException e) {
    return StorageException.of(file, "cannot be read", e);
  }

  private void head(byte[] fingerprint, KvPrecision kv, KvFormat format, ModelSpec spec)
      throws IOException {
    long size = channel.size();
    if (size < HEAD + Long.BYTES) {
      throw InputException.in(
          file, "size", "a session of " + (HEAD + Long.BYTES) + " bytes or more", size + " bytes");
    }
    fill(HEAD);
    if (buffer.getLong() != MAGIC) {
      throw InputException.in(file, "beginning", "JNEOXKV1, of a session", "other bytes");
    }
    expect("version", VERSION, buffer.getInt());
    int type = buffer.getInt();
    int positions = buffer.getInt();
    int elements = buffer.getInt();
    pages = buffer.getInt();
    int count = buffer.getInt();
    int noteBytes = buffer.getInt();
    byte[] found = new byte[FINGERPRINT];
    buffer.get(found);
    if (!Arrays.equals(found, fingerprint)) {
      throw InputException.in(
          file,
          "model",
          "the one that is open (" + HexFormat.of().formatHex(fingerprint, 0, 8) + ")",
          "keys and values of another ("
              + HexFormat.of().formatHex(found, 0, 8)
              + "): other weights or --dtype; begin a session in another file");
    }
    expect("type of keys and values", kv.ordinal(), type);
    expect("positions of a page", KvFormat.POSITIONS, positions);
    expect("numbers of a page", format.elements(), elements);
    if (noteBytes < 0 || noteBytes > LONGEST_NOTE) {
      throw InputException.in(file, "note", "0 to " + LONGEST_NOTE + " bytes", noteBytes + "");
    }
    if (count < 0 || pages < 0 || (long) pages * KvFormat.POSITIONS > count) {
      throw InputException.in(
          file, "pages", "those of " + count + " ids", pages + " of " + KvFormat.POSITIONS);
    }
    long whole =
        HEAD + noteBytes + (long) Integer.BYTES * count + pages * format.pageBytes() + Long.BYTES;
    if (size != whole) {
      throw InputException.in(file, "size", whole + " bytes", size + "; it is not whole");
    }
    byte[] text = new byte[noteBytes];
    for (int at = 0; at < noteBytes; at += CHUNK) {
      int n = Math.min(CHUNK, noteBytes - at);
      fill(n);
      buffer.get(text, at, n);
    }
    try {
      note = StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(text)).toString();
    } catch (CharacterCodingException e) {
      throw InputException.in(file, "note", "UTF-8", "other bytes");
    }
    ids = new int[count];
    read(ids);
    try {
      Generation.checkIds(ids, spec);
    } catch (InputException e) {
      throw e.withMessage(file + ": " + e.getMessage());
    }
  }

  private void expect(String what, int expected, int found) {
    if (expected != found) {
      throw InputException.in(file, what, expected + "", found + "");
    }
  }

  /** Reads the next bytes into the buffer. */
  private void fill(int bytes) throws IOException {
    buffer.clear().limit(bytes);
    while (buffer.hasRemaining()) {
      if (channel.read(buffer) < 0) {
        throw new EOFException();
      }
    }
    buffer.flip();
    checksum.update(buffer);
    buffer.rewind();
  }

  private void read(int[] values) throws IOException {
    for (int at = 0; at < values.length; at += CHUNK / Integer.BYTES) {
      int n = Math.min(CHUNK / Integer.BYTES, values.length - at);
      fill(n * Integer.BYTES);
      buffer.asIntBuffer().get(values, at, n);
    }
  }

  private void read(float[] values) throws IOException {
    for (int at = 0; at < values.length; at += CHUNK / Float.BYTES) {
      int n = Math.min(CHUNK / Float.BYTES, values.length - at);
      fill(n * Float.BYTES);
      buffer.asFloatBuffer().get(values, at, n);
    }
  }

  int[] ids() {
    return ids;
  }

  String note() {
    return note;
  }

  /** Returns the number of pages. */
  int pages() {
    return pages;
  }

  /**
   * Reads the pages, and checks the sum over the file and that all values are finite.
   *
   * @throws InputException when the sum is another, or a value is NaN or infinite
   * @throws StorageException when they cannot be read
   */
  void read(List<KvPage> into) {
    try {
      for (KvPage page : into) {
        read(page.pairs);
        read(page.floats);
      }
      long computed = checksum.getValue();
      fill(Long.BYTES);
      if (buffer.getLong() != computed) {
        throw InputException.in(
            file, "checksum", "that of the contents", "another; the file is damaged");
      }
      if (!into.stream().allMatch(SessionFile::isFinite)) {
        throw InputException.in(file, "keys and values", "finite numbers", "NaN or infinite ones");
      }
    } catch (IOException e) {
      throw unreadable(file, e);
    }
  }

  private static boolean isFinite(KvPage page) {
    for (float value : page.floats) {
      if (!Float.isFinite(value)) {
        return false;
      }
    }
    for (int pair : page.pairs) {
      if (!Float.isFinite(Float.intBitsToFloat(pair << 16))
          || !Float.isFinite(Float.intBitsToFloat(pair))) {
        return false;
      }
    }
    return true;
  }

  @Override
  public void close() {
    try {
      channel.close();
    } catch (IOException e) {
      throw unreadable(file, e);
    }
  }
}
