package dev.jneox.fuzz;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;

/** Changes safetensors and GGUF files in the fields of their headers. */
final class Binary {
  private Binary() {}

  /** Changes the JSON of the header, and mostly its length with it. */
  static byte[] changedSafetensors(byte[] bytes, SplittableRandom random) {
    long length =
        bytes.length < 8 ? -1 : ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getLong();
    if (length < 0 || length > bytes.length - 8) {
      return Bytes.changed(bytes, bytes, random);
    }
    if (random.nextInt(8) == 0) {
      return Bytes.withNumber(bytes, 0, 8, random);
    }
    byte[] header = Json.changed(Arrays.copyOfRange(bytes, 8, 8 + (int) length), random);
    if (random.nextInt(4) > 0) {
      header = padded(header);
    }
    byte[] changed = Bytes.spliced(bytes, 8, (int) length, header);
    if (random.nextInt(8) > 0) {
      ByteBuffer.wrap(changed).order(ByteOrder.LITTLE_ENDIAN).putLong(0, header.length);
    }
    return changed;
  }

  private static byte[] padded(byte[] header) {
    byte[] padded = Arrays.copyOf(header, (header.length + 7) / 8 * 8);
    Arrays.fill(padded, header.length, padded.length, (byte) ' ');
    return padded;
  }

  /** A field of a header: a number, or a text behind its length. */
  private record Field(int at, int width, int text) {}

  static byte[] changedGguf(byte[] bytes, SplittableRandom random) {
    List<Field> fields = new ArrayList<>();
    try {
      fields(ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN), fields);
    } catch (RuntimeException e) {
      // Those before a broken place.
    }
    byte[] changed = bytes;
    for (int n = 1 + random.nextInt(random.nextInt(1, 4)); n > 0 && !fields.isEmpty(); n--) {
      Field field =
          fields.get(
              random.nextBoolean()
                  ? random.nextInt(Math.min(40, fields.size()))
                  : random.nextInt(fields.size()));
      if (field.text == 0 || random.nextInt(3) == 0) {
        changed = Bytes.withNumber(changed, field.at, field.width, random);
      } else {
        int at = Math.min(changed.length - 1, field.at + 8 + random.nextInt(field.text));
        changed = changed == bytes ? changed.clone() : changed;
        changed[at] = (byte) (random.nextBoolean() ? random.nextInt() : random.nextInt(0x20, 0x7f));
      }
    }
    return changed;
  }

  private static void fields(ByteBuffer in, List<Field> fields) {
    number(in, 4, fields);
    number(in, 4, fields);
    long tensors = number(in, 8, fields);
    long keys = number(in, 8, fields);
    for (long i = 0; i < keys; i++) {
      text(in, fields);
      value(in, (int) number(in, 4, fields), fields);
    }
    for (long i = 0; i < tensors; i++) {
      text(in, fields);
      for (long axes = number(in, 4, fields); axes > 0; axes--) {
        number(in, 8, fields);
      }
      number(in, 4, fields);
      number(in, 8, fields);
    }
  }

  private static long number(ByteBuffer in, int width, List<Field> fields) {
    fields.add(new Field(in.position(), width, 0));
    return width == 4 ? in.getInt() : in.getLong();
  }

  private static void text(ByteBuffer in, List<Field> fields) {
    int at = in.position();
    int length = Math.toIntExact(in.getLong());
    fields.add(new Field(at, 8, Math.clamp(length, 0, in.remaining())));
    in.position(in.position() + Math.max(length, 0));
  }

  private static void value(ByteBuffer in, int type, List<Field> fields) {
    switch (type) {
      case 0, 1, 7 -> {
        fields.add(new Field(in.position(), 1, 0));
        in.get();
      }
      case 2, 3 -> {
        fields.add(new Field(in.position(), 2, 0));
        in.getShort();
      }
      case 4, 5, 6 -> number(in, 4, fields);
      case 8 -> text(in, fields);
      case 9 -> {
        int of = (int) number(in, 4, fields);
        for (long n = number(in, 8, fields); n > 0; n--) {
          value(in, of, fields);
        }
      }
      case 10, 11, 12 -> number(in, 8, fields);
      default -> throw new IllegalArgumentException("type " + type);
    }
  }
}
