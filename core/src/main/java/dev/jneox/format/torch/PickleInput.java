package dev.jneox.format.torch;

import static dev.jneox.io.JsonObject.quoted;

import dev.jneox.io.InputException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

/** Reads the arguments of the opcodes of a pickle, from front to back. */
final class PickleInput {
  /** The longest pickle that is read; those of the largest models have some hundred kilobytes. */
  static final int MAX_BYTES = 16 << 20;

  private static final int MAX_LINE = 1 << 16;
  private static final int MAX_INTEGER = 256; // bytes or digits; Python's integers are unbounded

  private static final ValueLayout.OfLong LITTLE =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfLong BIG =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.BIG_ENDIAN);

  private final Path file;
  private final String part;
  private final MemorySegment bytes;
  private long at;
  private long opcodeAt;

  /**
   * Starts at the first byte.
   *
   * @param part the name of the pickle in messages: {@code data.pkl}
   * @param bytes begin with the pickle; may continue after it
   */
  PickleInput(Path file, String part, MemorySegment bytes) {
    this.file = file;
    this.part = part;
    this.bytes = bytes;
  }

  /** Returns how many bytes were read. */
  long position() {
    return at;
  }

  int opcode() {
    opcodeAt = at;
    return (int) unsigned(1);
  }

  /** Creates the error for the current opcode. */
  InputException wrong(String expected, String found) {
    return InputException.in(file, part + ", byte " + opcodeAt, expected, found);
  }

  private MemorySegment take(long n) {
    long left = Math.min(bytes.byteSize(), MAX_BYTES) - at;
    if (n < 0 || n > left) {
      String end = bytes.byteSize() > MAX_BYTES ? " to the limit for a pickle" : " to its end";
      throw wrong(Long.toUnsignedString(n) + " more bytes at byte " + at, left + end);
    }
    at += n;
    return bytes.asSlice(at - n, n);
  }

  void skip(int n) {
    take(n);
  }

  /** Reads a little-endian number of 1, 2 or 4 bytes. */
  long unsigned(int width) {
    MemorySegment taken = take(width);
    long value = 0;
    for (int i = width - 1; i >= 0; i--) {
      value = value << 8 | taken.get(ValueLayout.JAVA_BYTE, i) & 0xff;
    }
    return value;
  }

  long signed32() {
    return (int) unsigned(4);
  }

  /** Reads a length of eight bytes; negative when it exceeds a long. */
  long length64() {
    return take(8).get(LITTLE, 0);
  }

  double binaryDouble() {
    return Double.longBitsToDouble(take(8).get(BIG, 0));
  }

  byte[] array(long n) {
    return take(n).toArray(ValueLayout.JAVA_BYTE);
  }

  /** Reads {@code n} bytes of UTF-8. */
  String utf8(long n) {
    try {
      return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(array(n))).toString();
    } catch (CharacterCodingException e) {
      throw wrong("UTF-8", "other bytes");
    }
  }

  /** Reads {@code n} bytes of text as Python 2 wrote it. */
  String latin1(long n) {
    return new String(array(n), StandardCharsets.ISO_8859_1);
  }

  /** Reads the bytes up to a line feed. */
  String line(Charset charset) {
    long limit = Math.min(Math.min(bytes.byteSize(), MAX_BYTES), at + MAX_LINE);
    for (long end = at; end < limit; end++) {
      if (bytes.get(ValueLayout.JAVA_BYTE, end) == '\n') {
        String line = new String(array(end - at), charset);
        at++;
        return line;
      }
    }
    throw wrong("a line that ends within " + MAX_LINE + " bytes", "none");
  }

  /**
   * Reads a little-endian integer in two's complement of {@code n} bytes: a Long where it fits,
   * else a BigInteger.
   */
  Object integer(long n) {
    if (n < 0 || n > MAX_INTEGER) {
      throw wrong("an integer of at most " + MAX_INTEGER + " bytes", Long.toString(n));
    }
    byte[] little = array(n);
    byte[] big = new byte[little.length];
    for (int i = 0; i < big.length; i++) {
      big[i] = little[big.length - 1 - i];
    }
    return narrow(big.length == 0 ? BigInteger.ZERO : new BigInteger(big));
  }

  /** Reads an integer in decimal on its own line. */
  Object decimal() {
    String text = line(StandardCharsets.ISO_8859_1);
    String digits = text.endsWith("L") ? text.substring(0, text.length() - 1) : text;
    if (!digits.matches("[-+]?[0-9]{1," + MAX_INTEGER + "}")) {
      throw wrong("an integer", quoted(text));
    }
    return narrow(new BigInteger(digits));
  }

  double decimalDouble() {
    String text = line(StandardCharsets.ISO_8859_1);
    try {
      return switch (text.toLowerCase(java.util.Locale.ROOT)) {
        case "nan" -> Double.NaN;
        case "inf" -> Double.POSITIVE_INFINITY;
        case "-inf" -> Double.NEGATIVE_INFINITY;
        default -> Double.parseDouble(text);
      };
    } catch (NumberFormatException e) {
      throw wrong("a number", quoted(text));
    }
  }

  private static Object narrow(BigInteger value) {
    return value.bitLength() < Long.SIZE ? (Object) value.longValue() : value;
  }
}
