package dev.jneox.fuzz;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.zip.CRC32;
import java.util.zip.DataFormatException;
import java.util.zip.GZIPInputStream;
import java.util.zip.GZIPOutputStream;
import java.util.zip.Inflater;

/** Changes zip archives and gzip files: their content, or the fields around it. */
final class Archives {
  private static final int LOCAL = 0x04034b50;
  private static final int CENTRAL = 0x02014b50;
  private static final int END = 0x06054b50;

  private Archives() {}

  /** An entry of an archive, without compression. */
  private record Entry(String name, byte[] bytes) {}

  static boolean isZip(byte[] bytes) {
    return bytes.length > 4 && bytes[0] == 'P' && bytes[1] == 'K' && bytes[2] == 3;
  }

  static byte[] changedGzip(String name, byte[] bytes, byte[] other, SplittableRandom random) {
    try (GZIPInputStream in = new GZIPInputStream(new ByteArrayInputStream(bytes))) {
      byte[] content = Mutation.changed(name, in.readAllBytes(), new byte[0], random);
      ByteArrayOutputStream out = new ByteArrayOutputStream();
      try (GZIPOutputStream gzip = new GZIPOutputStream(out)) {
        gzip.write(content);
      }
      return random.nextInt(4) == 0
          ? Bytes.changedNumber(out.toByteArray(), random)
          : out.toByteArray();
    } catch (IOException e) {
      return Bytes.changed(bytes, other, random);
    }
  }

  static byte[] changedZip(byte[] bytes, SplittableRandom random) {
    if (random.nextInt(4) == 0) {
      return changedField(bytes, random);
    }
    List<Entry> entries = new ArrayList<>();
    try {
      read(bytes, entries);
    } catch (RuntimeException | DataFormatException e) {
      // Those before a broken place.
    }
    if (entries.isEmpty()) {
      return Bytes.changed(bytes, bytes, random);
    }
    int at = random.nextInt(entries.size());
    // Mostly the pickle, which comes first.
    at = random.nextInt(3) == 0 ? at : Math.min(at, random.nextInt(2));
    Entry entry = entries.get(at);
    Entry other = entries.get(random.nextInt(entries.size()));
    switch (random.nextInt(16)) {
      case 0 -> entries.remove(at);
      case 1 -> entries.add(at, other);
      case 2 -> entries.set(at, new Entry(entry.name, other.bytes));
      case 3 -> entries.set(at, new Entry(Texts.changed(entry.name, random), entry.bytes));
      case 4 -> entries.add(new Entry(Texts.changed(entry.name, random), entry.bytes));
      default ->
          entries.set(
              at,
              new Entry(
                  entry.name, Mutation.changed(entry.name, entry.bytes, other.bytes, random)));
    }
    byte[] whole = written(entries);
    return random.nextInt(16) == 0 ? changedField(whole, random) : whole;
  }

  /** Changes a field of the end, of the directory or of an entry's header. */
  private static byte[] changedField(byte[] bytes, SplittableRandom random) {
    List<Integer> headers = new ArrayList<>();
    for (int at = 0; at + 4 <= bytes.length; at++) {
      if (bytes[at] == 'P' && bytes[at + 1] == 'K' && bytes[at + 2] < 8) {
        headers.add(at);
      }
    }
    if (headers.isEmpty()) {
      return Bytes.changedNumber(bytes, random);
    }
    int at = headers.get(headers.size() - 1 - random.nextInt(Math.min(headers.size(), 12)));
    int width = 2 << random.nextInt(2);
    return Bytes.withNumber(bytes, at + 2 * random.nextInt(23), width, random);
  }

  private static void read(byte[] bytes, List<Entry> entries) throws DataFormatException {
    ByteBuffer in = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    int end = bytes.length - 22;
    while (in.getInt(end) != END) {
      end--;
    }
    int at = in.getInt(end + 16);
    for (int n = in.getShort(end + 10) & 0xffff; n > 0 && in.getInt(at) == CENTRAL; n--) {
      int method = in.getShort(at + 10);
      int packed = in.getInt(at + 20);
      int size = in.getInt(at + 24);
      int nameLength = in.getShort(at + 28) & 0xffff;
      int local = in.getInt(at + 42);
      String name = new String(bytes, at + 46, nameLength, StandardCharsets.UTF_8);
      int data =
          local + 30 + (in.getShort(local + 26) & 0xffff) + (in.getShort(local + 28) & 0xffff);
      if (packed < 0 || packed > bytes.length - data || size < 0 || size > 1 << 20) {
        return;
      }
      byte[] content = Arrays.copyOfRange(bytes, data, data + packed);
      if (method == 8) {
        Inflater inflater = new Inflater(true);
        inflater.setInput(content);
        content = new byte[size];
        inflater.inflate(content);
        inflater.end();
      }
      entries.add(new Entry(name, content));
      at += 46 + nameLength + (in.getShort(at + 30) & 0xffff) + (in.getShort(at + 32) & 0xffff);
    }
  }

  /** An archive without compression; it may have a name twice, which Java's own zip refuses. */
  private static byte[] written(List<Entry> entries) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    ByteArrayOutputStream directory = new ByteArrayOutputStream();
    for (Entry entry : entries) {
      byte[] name = entry.name.getBytes(StandardCharsets.UTF_8);
      CRC32 crc = new CRC32();
      crc.update(entry.bytes);
      ByteBuffer header = ByteBuffer.allocate(26).order(ByteOrder.LITTLE_ENDIAN);
      header.putShort((short) 20).putShort((short) 0x800).putShort((short) 0).putInt(0);
      header.putInt((int) crc.getValue()).putInt(entry.bytes.length).putInt(entry.bytes.length);
      header.putShort((short) name.length).putShort((short) 0);
      int local = out.size();
      out.writeBytes(little(LOCAL));
      out.writeBytes(header.array());
      out.writeBytes(name);
      out.writeBytes(entry.bytes);
      directory.writeBytes(little(CENTRAL));
      directory.writeBytes(new byte[] {20, 0});
      directory.writeBytes(header.array());
      directory.writeBytes(new byte[10]);
      directory.writeBytes(little(local));
      directory.writeBytes(name);
    }
    int begin = out.size();
    out.writeBytes(directory.toByteArray());
    ByteBuffer end = ByteBuffer.allocate(22).order(ByteOrder.LITTLE_ENDIAN);
    end.putInt(END).putInt(0).putShort((short) entries.size()).putShort((short) entries.size());
    end.putInt(directory.size()).putInt(begin).putShort((short) 0);
    out.writeBytes(end.array());
    return out.toByteArray();
  }

  private static byte[] little(int value) {
    return ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN).putInt(value).array();
  }
}
