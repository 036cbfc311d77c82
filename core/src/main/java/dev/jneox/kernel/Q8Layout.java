package dev.jneox.kernel;

import static dev.jneox.kernel.Q8Weight.GROUP;
import static dev.jneox.kernel.Q8Weight.TILE;
import static dev.jneox.kernel.StoredNumbers.INT;
import static dev.jneox.kernel.StoredNumbers.SHORT;

import java.lang.foreign.MemorySegment;

/**
 * From the Q8_0 blocks of a GGUF file to the layout of {@link Q8Weight} and back, bit for bit. A
 * Q8_0 block is 32 inputs of a row: the scale in half precision, then 32 signed bytes; the blocks
 * of a row follow each other, then those of the next row. Where {@code in} is no multiple of 32,
 * rows here end in a block whose last codes are 0.
 */
public final class Q8Layout {
  /** Bytes of a Q8_0 block. */
  public static final int GGUF_BYTES = 34;

  private static final int QUADS = GROUP / 4;

  private Q8Layout() {}

  /** Bytes of a weight {@code [out, in]} as Q8_0 blocks. */
  public static long ggufBytes(int out, int in) {
    return (long) out * Q8Weight.groups(in) * GGUF_BYTES;
  }

  /**
   * Fills the rows of blocks {@code fromBlock} to {@code toBlock} of {@code packed}; several
   * threads may fill a share each.
   *
   * @param gguf the whole weight, {@link #ggufBytes} bytes
   * @param packed the whole weight, {@link Q8Weight#bytes(int, int)} bytes
   * @throws IllegalArgumentException for a scale that is no finite number; it names row and input
   */
  public static void pack(
      int out, int in, MemorySegment gguf, MemorySegment packed, int fromBlock, int toBlock) {
    check(out, in, gguf, packed);
    int groups = Q8Weight.groups(in);
    int[] codes = new int[QUADS * TILE];
    short[] scales = new short[TILE];
    int end = Math.min(out, toBlock * PackedWeight.BLOCK);
    for (int first = fromBlock * PackedWeight.BLOCK; first < end; first += TILE) {
      for (int g = 0; g < groups; g++) {
        for (int row = 0; row < TILE; row++) {
          long source = ((long) (first + row) * groups + g) * GGUF_BYTES;
          boolean there = first + row < out;
          short scale = there ? gguf.get(SHORT, source) : 0;
          scales[Q8Weight.place(row)] = scale;
          if ((scale & 0x7C00) == 0x7C00) {
            throw new IllegalArgumentException(
                "row " + (first + row) + ", input " + g * GROUP + ": a scale that is not finite");
          }
          for (int q = 0; q < QUADS; q++) {
            codes[q * TILE + row] = there ? gguf.get(INT, source + 2 + 4 * q) : 0;
          }
        }
        long target = first / TILE * Q8Weight.tileBytes(in) + (long) g * Q8Weight.GROUP_BYTES;
        MemorySegment.copy(codes, 0, packed, INT, target, codes.length);
        MemorySegment.copy(scales, 0, packed, SHORT, target + Q8Weight.CODE_BYTES, TILE);
      }
    }
  }

  /** The inverse of {@link #pack}, for all rows. */
  public static void unpack(Q8Weight weight, MemorySegment gguf) {
    check(weight.out(), weight.in(), gguf, weight.data());
    for (int o = 0; o < weight.out(); o++) {
      unpack(weight, o, gguf, ggufBytes(o, weight.in()));
    }
  }

  /**
   * Writes the Q8_0 blocks of row {@code o}, {@code ggufBytes(1, in)} bytes, to {@code gguf} from
   * {@code at} on.
   */
  public static void unpack(Q8Weight weight, int o, MemorySegment gguf, long at) {
    int groups = Q8Weight.groups(weight.in());
    for (int g = 0; g < groups; g++) {
      long source = o / TILE * Q8Weight.tileBytes(weight.in()) + (long) g * Q8Weight.GROUP_BYTES;
      long target = at + (long) g * GGUF_BYTES;
      gguf.set(
          SHORT,
          target,
          weight.data().get(SHORT, source + Q8Weight.CODE_BYTES + 2 * Q8Weight.place(o % TILE)));
      for (int q = 0; q < QUADS; q++) {
        gguf.set(
            INT, target + 2 + 4 * q, weight.data().get(INT, source + 4L * (q * TILE + o % TILE)));
      }
    }
  }

  private static void check(int out, int in, MemorySegment gguf, MemorySegment packed) {
    if (gguf.byteSize() != ggufBytes(out, in) || packed.byteSize() != Q8Weight.bytes(out, in)) {
      throw new IllegalArgumentException(
          out
              + " x "
              + in
              + " weights take "
              + ggufBytes(out, in)
              + " bytes as Q8_0 and "
              + Q8Weight.bytes(out, in)
              + " in tiles, given "
              + gguf.byteSize()
              + " and "
              + packed.byteSize());
    }
  }
}
