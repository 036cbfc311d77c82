package dev.jneox.quant;

import static dev.jneox.quant.Lanes.ORDER;
import static dev.jneox.quant.PackedWeight.BLOCK;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * From the Q4_0 blocks of a GGUF file to the layout of {@link Q4Weight} and back, bit for bit. A Q4_0 block is 32 inputs of a
 * row: the scale in half precision, then 16 bytes, the i-th with the code of input i in its lower and that of input i + 16 in its
 * upper four bits; the blocks of a row follow each other, then those of the next row. Where {@code in} is no multiple of 32, rows
 * here end in a block whose last codes are 8.
 */
public final class Q4Layout {
  /** Bytes of a Q4_0 block. */
  public static final int GGUF_BYTES = 18;

  private static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ORDER);
  private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ORDER);
  private static final int QUADS = Q4Weight.GROUP / 4;
  private static final short ZEROS = (short) 0x8888;

  private Q4Layout() {}

  /** Bytes of a weight {@code [out, in]} as Q4_0 blocks. */
  public static long ggufBytes(int out, int in) {
    return (long) out * Q4Weight.groups(in) * GGUF_BYTES;
  }

  /**
   * Fills blocks {@code fromBlock} to {@code toBlock} of {@code packed}; several threads may fill a share each.
   *
   * @param gguf the whole weight, {@link #ggufBytes} bytes
   * @param packed the whole weight, {@link Q4Weight#bytes(int, int)} bytes
   * @throws IllegalArgumentException for a scale that is no finite number; it names row and input
   */
  public static void pack(int out, int in, MemorySegment gguf, MemorySegment packed, int fromBlock, int toBlock) {
    check(out, in, gguf, packed);
    int groups = Q4Weight.groups(in);
    short[] codes = new short[QUADS * BLOCK];
    short[] scales = new short[BLOCK];
    for (int b = fromBlock; b < toBlock; b++) {
      long block = b * Q4Weight.blockBytes(in);
      for (int g = 0; g < groups; g++) {
        for (int lane = 0; lane < BLOCK; lane++) {
          int o = b * BLOCK + Q4Weight.row(lane);
          if (o >= out) {
            zero(codes, scales, lane);
            continue;
          }
          long source = ((long) o * groups + g) * GGUF_BYTES;
          scales[lane] = gguf.get(SHORT, source);
          if ((scales[lane] & 0x7C00) == 0x7C00) {
            throw new IllegalArgumentException("row " + o + ", input " + g * Q4Weight.GROUP + ": a scale that is not finite");
          }
          long first = gguf.get(LONG, source + 2);
          long second = gguf.get(LONG, source + 10);
          quads(first, codes, lane);
          quads(second, codes, lane + 2 * BLOCK);
          quads(first >>> 4, codes, lane + 4 * BLOCK);
          quads(second >>> 4, codes, lane + 6 * BLOCK);
        }
        long target = block + (long) g * Q4Weight.GROUP_BYTES;
        MemorySegment.copy(codes, 0, packed, SHORT, target, codes.length);
        MemorySegment.copy(scales, 0, packed, SHORT, target + Q4Weight.CODE_BYTES, BLOCK);
      }
    }
  }

  /** The lower halves of eight bytes as two shorts of four codes. */
  private static void quads(long bytes, short[] codes, int at) {
    long x = bytes & 0x0F0F0F0F0F0F0F0FL;
    x = (x | x >>> 4) & 0x00FF00FF00FF00FFL;
    x |= x >>> 8;
    codes[at] = (short) x;
    codes[at + BLOCK] = (short) (x >>> 32);
  }

  private static void zero(short[] codes, short[] scales, int lane) {
    scales[lane] = 0;
    for (int q = 0; q < QUADS; q++) {
      codes[q * BLOCK + lane] = ZEROS;
    }
  }

  /** The inverse of {@link #pack}, for all rows. */
  public static void unpack(Q4Weight weight, MemorySegment gguf) {
    check(weight.out(), weight.in(), gguf, weight.data());
    for (int o = 0; o < weight.out(); o++) {
      unpack(weight, o, gguf, ggufBytes(o, weight.in()));
    }
  }

  /** Writes the Q4_0 blocks of row {@code o}, {@code ggufBytes(1, in)} bytes, to {@code gguf} from {@code at} on. */
  public static void unpack(Q4Weight weight, int o, MemorySegment gguf, long at) {
    int groups = Q4Weight.groups(weight.in());
    long blockBytes = Q4Weight.blockBytes(weight.in());
    MemorySegment block = weight.data().asSlice(o / BLOCK * blockBytes, blockBytes);
    int lane = Q4Weight.lane(o % BLOCK);
    for (int g = 0; g < groups; g++) {
      long codes = (long) g * Q4Weight.GROUP_BYTES + 2L * lane;
      long target = at + (long) g * GGUF_BYTES;
      gguf.set(SHORT, target, block.get(SHORT, codes + Q4Weight.CODE_BYTES));
      gguf.set(LONG, target + 2, bytes(block, codes, 0) | bytes(block, codes, 4) << 4);
      gguf.set(LONG, target + 10, bytes(block, codes, 2) | bytes(block, codes, 6) << 4);
    }
  }

  /** Quads q and q + 1 with a code in the lower half of each byte. */
  private static long bytes(MemorySegment block, long codes, int q) {
    long first = block.get(SHORT, codes + 2L * BLOCK * q) & 0xFFFFL;
    long second = block.get(SHORT, codes + 2L * BLOCK * (q + 1)) & 0xFFFFL;
    long x = first | second << 32;
    x = (x | x << 8) & 0x00FF00FF00FF00FFL;
    return (x | x << 4) & 0x0F0F0F0F0F0F0F0FL;
  }

  private static void check(int out, int in, MemorySegment gguf, MemorySegment packed) {
    if (gguf.byteSize() != ggufBytes(out, in) || packed.byteSize() != Q4Weight.bytes(out, in)) {
      throw new IllegalArgumentException(
          out + " x " + in + " weights take " + ggufBytes(out, in) + " bytes as Q4_0 and " + Q4Weight.bytes(out, in)
              + " in lanes, given " + gguf.byteSize() + " and " + packed.byteSize());
    }
  }
}
