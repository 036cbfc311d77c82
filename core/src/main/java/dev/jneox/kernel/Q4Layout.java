package dev.jneox.kernel;

import static dev.jneox.kernel.PackedWeight.BLOCK;
import static dev.jneox.kernel.StoredNumbers.INT;
import static dev.jneox.kernel.StoredNumbers.LONG;
import static dev.jneox.kernel.StoredNumbers.SHORT;

import java.lang.foreign.MemorySegment;

/**
 * From the Q4_0 blocks of a GGUF file to the layout of {@link Q4Weight} and back, bit for bit. A
 * Q4_0 block is 32 inputs of a row: the scale in half precision, then 16 bytes, the i-th with the
 * code of input i in its lower and that of input i + 16 in its upper four bits; the blocks of a row
 * follow each other, then those of the next row. Where {@code in} is no multiple of 32, rows here
 * end in a block whose last codes are 8.
 */
public final class Q4Layout {
  /** Bytes of a Q4_0 block. */
  public static final int GGUF_BYTES = 18;

  private static final int OCTS = Q4Weight.GROUP / 8;
  private static final int ZEROS = 0x88888888;

  private Q4Layout() {}

  /** Bytes of a weight {@code [out, in]} as Q4_0 blocks. */
  public static long ggufBytes(int out, int in) {
    return (long) out * Q4Weight.groups(in) * GGUF_BYTES;
  }

  /**
   * Fills blocks {@code fromBlock} to {@code toBlock} of {@code packed}; several threads may fill a
   * share each.
   *
   * @param gguf the whole weight, {@link #ggufBytes} bytes
   * @param packed the whole weight, {@link Q4Weight#bytes(int, int)} bytes
   * @throws IllegalArgumentException for a scale that is no finite number; it names row and input
   */
  public static void pack(
      int out, int in, MemorySegment gguf, MemorySegment packed, int fromBlock, int toBlock) {
    check(out, in, gguf, packed);
    int groups = Q4Weight.groups(in);
    int[] codes = new int[OCTS * BLOCK];
    short[] scales = new short[BLOCK];
    for (int b = fromBlock; b < toBlock; b++) {
      long block = b * Q4Weight.blockBytes(in);
      for (int g = 0; g < groups; g++) {
        for (int row = 0; row < BLOCK; row++) {
          int o = b * BLOCK + row;
          if (o >= out) {
            zero(codes, scales, row);
            continue;
          }
          long source = ((long) o * groups + g) * GGUF_BYTES;
          short scale = gguf.get(SHORT, source);
          if ((scale & 0x7C00) == 0x7C00) {
            throw new IllegalArgumentException(
                "row " + o + ", input " + g * Q4Weight.GROUP + ": a scale that is not finite");
          }
          scales[Q4Weight.place(row)] = scale;
          long first = gguf.get(LONG, source + 2);
          long second = gguf.get(LONG, source + 10);
          codes[row] = oct(first);
          codes[row + BLOCK] = oct(second);
          codes[row + 2 * BLOCK] = oct(first >>> 4);
          codes[row + 3 * BLOCK] = oct(second >>> 4);
        }
        long target = block + (long) g * Q4Weight.GROUP_BYTES;
        MemorySegment.copy(codes, 0, packed, INT, target, codes.length);
        MemorySegment.copy(scales, 0, packed, SHORT, target + Q4Weight.CODE_BYTES, BLOCK);
      }
    }
  }

  /** The lower halves of eight bytes as eight codes. */
  private static int oct(long bytes) {
    long x = bytes & 0x0F0F0F0F0F0F0F0FL;
    x = (x | x >>> 4) & 0x00FF00FF00FF00FFL;
    x = (x | x >>> 8) & 0x0000FFFF0000FFFFL;
    return (int) (x | x >>> 16);
  }

  private static void zero(int[] codes, short[] scales, int row) {
    scales[Q4Weight.place(row)] = 0;
    for (int oct = 0; oct < OCTS; oct++) {
      codes[oct * BLOCK + row] = ZEROS;
    }
  }

  /** The inverse of {@link #pack}, for all rows. */
  public static void unpack(Q4Weight weight, MemorySegment gguf) {
    check(weight.out(), weight.in(), gguf, weight.data());
    for (int o = 0; o < weight.out(); o++) {
      unpack(weight, o, gguf, ggufBytes(o, weight.in()));
    }
  }

  /**
   * Writes the Q4_0 blocks of row {@code o}, {@code ggufBytes(1, in)} bytes, to {@code gguf} from
   * {@code at} on.
   */
  public static void unpack(Q4Weight weight, int o, MemorySegment gguf, long at) {
    int groups = Q4Weight.groups(weight.in());
    long blockBytes = Q4Weight.blockBytes(weight.in());
    MemorySegment block = weight.data().asSlice(o / BLOCK * blockBytes, blockBytes);
    int row = o % BLOCK;
    for (int g = 0; g < groups; g++) {
      long codes = (long) g * Q4Weight.GROUP_BYTES + 4 * row;
      long target = at + (long) g * GGUF_BYTES;
      gguf.set(
          SHORT,
          target,
          block.get(
              SHORT,
              (long) g * Q4Weight.GROUP_BYTES + Q4Weight.CODE_BYTES + 2 * Q4Weight.place(row)));
      gguf.set(LONG, target + 2, bytes(block, codes, 0) | bytes(block, codes, 2) << 4);
      gguf.set(LONG, target + 10, bytes(block, codes, 1) | bytes(block, codes, 3) << 4);
    }
  }

  /** An oct with a code in the lower half of each byte. */
  private static long bytes(MemorySegment block, long codes, int oct) {
    long x = block.get(INT, codes + 4L * BLOCK * oct) & 0xFFFFFFFFL;
    x = (x | x << 16) & 0x0000FFFF0000FFFFL;
    x = (x | x << 8) & 0x00FF00FF00FF00FFL;
    return (x | x << 4) & 0x0F0F0F0F0F0F0F0FL;
  }

  private static void check(int out, int in, MemorySegment gguf, MemorySegment packed) {
    if (gguf.byteSize() != ggufBytes(out, in) || packed.byteSize() != Q4Weight.bytes(out, in)) {
      throw new IllegalArgumentException(
          out
              + " x "
              + in
              + " weights take "
              + ggufBytes(out, in)
              + " bytes as Q4_0 and "
              + Q4Weight.bytes(out, in)
              + " in lanes, given "
              + gguf.byteSize()
              + " and "
              + packed.byteSize());
    }
  }
}
