package dev.jneox.fuzz;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.SplittableRandom;

/** Changes bytes of which nothing is known. */
final class Bytes {
  private Bytes() {}

  /**
   * @param other content of the same kind, from which a piece may be taken
   */
  static byte[] changed(byte[] whole, byte[] other, SplittableRandom random) {
    byte[] bytes = whole.clone();
    int changes = 1 + random.nextInt(random.nextInt(1, 5));
    for (; changes > 0; changes--) {
      int at = place(bytes.length, random);
      int n = Math.min(bytes.length - at, 1 + random.nextInt(1 << random.nextInt(8)));
      switch (random.nextInt(10)) {
        case 0, 1 -> {
          if (at < bytes.length) {
            bytes[at] ^= (byte) (1 << random.nextInt(8));
          }
        }
        case 2, 3 -> {
          if (at < bytes.length) {
            bytes[at] = (byte) (random.nextInt(3) == 0 ? -random.nextInt(2) : random.nextInt());
          }
        }
        case 4 -> bytes = Arrays.copyOf(bytes, at);
        case 5 -> bytes = spliced(bytes, at, n, new byte[0]);
        case 6 -> {
          byte[] piece = new byte[n];
          random.nextBytes(piece);
          bytes = spliced(bytes, at, 0, piece);
        }
        case 7 -> bytes = spliced(bytes, at, 0, Arrays.copyOfRange(bytes, at, at + n));
        case 8 -> {
          int from = place(other.length, random);
          bytes =
              spliced(
                  bytes,
                  at,
                  random.nextInt(n + 1),
                  Arrays.copyOfRange(other, from, Math.min(other.length, from + n)));
        }
        default -> bytes = changedNumber(bytes, random);
      }
    }
    return bytes;
  }

  static byte[] spliced(byte[] bytes, int at, int remove, byte[] insert) {
    byte[] out = new byte[bytes.length - remove + insert.length];
    System.arraycopy(bytes, 0, out, 0, at);
    System.arraycopy(insert, 0, out, at, insert.length);
    System.arraycopy(bytes, at + remove, out, at + insert.length, bytes.length - at - remove);
    return out;
  }

  /** A place from 0 to {@code length}, more often near the beginning or the end. */
  static int place(int length, SplittableRandom random) {
    return switch (random.nextInt(4)) {
      case 0 -> random.nextInt(Math.min(length, 128) + 1);
      case 1 -> length - random.nextInt(Math.min(length, 128) + 1);
      default -> random.nextInt(length + 1);
    };
  }

  /** Gives a number somewhere another value. */
  static byte[] changedNumber(byte[] whole, SplittableRandom random) {
    int width = 1 << random.nextInt(4);
    int at = place(whole.length, random);
    return random.nextBoolean()
        ? withNumber(whole, at / width * width, width, random)
        : withNumber(whole, at, width, random);
  }

  /** Gives the number at a place another value; the same bytes where there is no room for it. */
  static byte[] withNumber(byte[] whole, int at, int width, SplittableRandom random) {
    if (at < 0 || at + width > whole.length) {
      return whole;
    }
    byte[] bytes = whole.clone();
    ByteBuffer buffer = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    switch (width) {
      case 1 -> buffer.put(at, (byte) odd(buffer.get(at), whole.length, 8, random));
      case 2 -> buffer.putShort(at, (short) odd(buffer.getShort(at), whole.length, 16, random));
      case 4 -> buffer.putInt(at, (int) odd(buffer.getInt(at), whole.length, 32, random));
      default -> buffer.putLong(at, odd(buffer.getLong(at), whole.length, 64, random));
    }
    return bytes;
  }

  /** A number at which code that counts may fail. */
  static long odd(long old, long length, int bits, SplittableRandom random) {
    return switch (random.nextInt(14)) {
      case 0 -> 0;
      case 1 -> 1;
      case 2 -> -1;
      case 3 -> 1L << bits - 1;
      case 4 -> (1L << bits - 1) - 1;
      case 5 -> old + 1;
      case 6 -> old - 1;
      case 7 -> old * 2;
      case 8 -> -old;
      case 9 -> length;
      case 10 -> length - random.nextInt(64);
      case 11 -> 1L << random.nextInt(bits);
      case 12 -> (1L << random.nextInt(bits)) - 1;
      default -> random.nextInt(256);
    };
  }
}
