package dev.jneox.kernel;

import static dev.jneox.kernel.Lanes.F;
import static dev.jneox.kernel.Lanes.I;
import static dev.jneox.kernel.Memory.MEMORY;
import static dev.jneox.kernel.Memory.TOP;
import static dev.jneox.kernel.StoredNumbers.FLOAT;
import static dev.jneox.kernel.StoredNumbers.ORDER;
import static jdk.incubator.vector.VectorOperators.ASHR;
import static jdk.incubator.vector.VectorOperators.I2F;
import static jdk.incubator.vector.VectorOperators.LSHL;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;

/**
 * The inner loops of {@link Q8Weight}. A lane is an output row and holds four codes, which are cut
 * out by shifts and multiplied as fp32. The sum of a group is that of its even inputs plus that of
 * its odd ones, each with an fma for each input in order: two shorter chains, because an fma waits
 * for the one before.
 *
 * <p>Sums and scaling are several methods for the reason given in {@link Q4Kernel}.
 */
final class Q8Kernel {
  private static final int L = F.length();

  /** Output rows whose sums stay in registers: two vectors. */
  private static final int ROWS = 2 * L;

  private static final int BYTES = 4 * L;

  /** Bytes of a tile's codes of four inputs. */
  private static final int LINE = 4 * Q8Weight.TILE;

  /**
   * Most groups that are multiplied with all activation rows before the next, see {@link Q4Kernel}.
   */
  private static final int CHUNK = 8;

  /** Bytes of the sums of a chunk with one activation row. */
  private static final int SUM_BYTES = 4 * CHUNK * Q8Weight.TILE;

  /** A thread's own memory between the two halves of the kernel. */
  private record Scratch(MemorySegment sums, MemorySegment scales) {
    Scratch() {
      this(Arena.ofAuto().allocate(2 * SUM_BYTES, 64), Arena.ofAuto().allocate(SUM_BYTES, 64));
    }
  }

  private static final ThreadLocal<Scratch> SCRATCH = ThreadLocal.withInitial(Scratch::new);

  private Q8Kernel() {}

  /** {@link PackedWeight#multiply}. */
  static void multiply(
      Q8Weight weight, InputRows x, float[] y, int at, int ldy, int fromBlock, int toBlock) {
    int groups = Q8Weight.groups(weight.in());
    long tileBytes = Q8Weight.tileBytes(weight.in());
    int end = Math.min(weight.out(), toBlock * PackedWeight.BLOCK);
    Tile results = Tile.of(x.rows(), Q8Weight.TILE);
    for (int o = fromBlock * PackedWeight.BLOCK; o < end; o += Q8Weight.TILE) {
      int width = Math.min(Q8Weight.TILE, end - o);
      long tile = weight.data().address() + o / Q8Weight.TILE * tileBytes;
      results.read(y, at + o, ldy, x.rows(), width);
      for (int g = 0; g < groups; g += CHUNK) {
        long from = tile + (long) g * Q8Weight.GROUP_BYTES;
        chunk(from, g, Math.min(CHUNK, groups - g), x, results);
      }
      results.write(y, at + o, ldy, x.rows(), width);
    }
  }

  /** {@code n} groups of a tile from {@code from} on, for all activation rows. */
  private static void chunk(long from, int g, int n, InputRows x, Tile results) {
    Scratch scratch = SCRATCH.get();
    long sums = scratch.sums.address();
    long scales = scratch.scales.address();
    long x0 = 4L * g * Q8Weight.GROUP;
    int r = 0;
    for (; r + 2 <= x.rows(); r += 2) {
      for (int row = 0; row < Q8Weight.TILE; row += ROWS) {
        long to = sums + 4 * row;
        sums(from + 4 * row, n, x.row(r) + x0, x.row(r + 1) + x0, to, to + SUM_BYTES);
      }
      if (r == 0) {
        scales(from, n, scales); // after the codes: memory comes fastest in its own order
      }
      scale(n, sums, scales, results.row(r));
      scale(n, sums + SUM_BYTES, scales, results.row(r + 1));
    }
    if (r < x.rows()) {
      sums(from, n, x.row(r) + x0, sums);
      if (r == 0) {
        scales(from, n, scales);
      }
      scale(n, sums, scales, results.row(r));
    }
  }

  /**
   * The sums of one activation row with a tile.
   *
   * @param at address of the tile's first group
   * @param groups how many groups
   * @param x address of the activations of the first group
   * @param sums where they go, for each group one for each row of the tile
   */
  private static void sums(long at, int groups, long x, long sums) {
    for (int g = 0; g < groups; g++) {
      for (int row = 0; row < Q8Weight.TILE; row += ROWS) {
        FloatVector a0 = FloatVector.zero(F);
        FloatVector a1 = a0;
        FloatVector b0 = a0;
        FloatVector b1 = a0;
        for (int q = 0; q < Q8Weight.GROUP / 4; q++) {
          long from = at + LINE * q + 4 * row & TOP;
          IntVector v = IntVector.fromMemorySegment(I, MEMORY, from, ORDER);
          IntVector w = IntVector.fromMemorySegment(I, MEMORY, from + BYTES, ORDER);
          from = x + 16 * q & TOP;
          FloatVector k = FloatVector.broadcast(F, MEMORY.get(FLOAT, from));
          a0 = first(v).fma(k, a0);
          b0 = first(w).fma(k, b0);
          k = FloatVector.broadcast(F, MEMORY.get(FLOAT, from + 4));
          a1 = second(v).fma(k, a1);
          b1 = second(w).fma(k, b1);
          v = v.lanewise(ASHR, 16);
          w = w.lanewise(ASHR, 16);
          k = FloatVector.broadcast(F, MEMORY.get(FLOAT, from + 8));
          a0 = first(v).fma(k, a0);
          b0 = first(w).fma(k, b0);
          k = FloatVector.broadcast(F, MEMORY.get(FLOAT, from + 12));
          a1 = second(v).fma(k, a1);
          b1 = second(w).fma(k, b1);
        }
        long to = sums + 4 * row & TOP;
        a0.add(a1).intoMemorySegment(MEMORY, to, ORDER);
        b0.add(b1).intoMemorySegment(MEMORY, to + BYTES, ORDER);
      }
      at += Q8Weight.GROUP_BYTES;
      x += 4 * Q8Weight.GROUP;
      sums += 4 * Q8Weight.TILE;
    }
  }

  /**
   * The sums of two activation rows with {@link #ROWS} rows of a tile.
   *
   * @param at address of the first row's codes in the first group
   * @param sums where those of the first activation row go, at the place of the first row; {@code
   *     sums2} the same for the second
   */
  private static void sums(long at, int groups, long x, long x2, long sums, long sums2) {
    for (int g = 0; g < groups; g++) {
      FloatVector a0 = FloatVector.zero(F);
      FloatVector a1 = a0;
      FloatVector b0 = a0;
      FloatVector b1 = a0;
      FloatVector c0 = a0;
      FloatVector c1 = a0;
      FloatVector d0 = a0;
      FloatVector d1 = a0;
      for (int q = 0; q < Q8Weight.GROUP / 4; q++) {
        long from = at + LINE * q & TOP;
        IntVector v = IntVector.fromMemorySegment(I, MEMORY, from, ORDER);
        IntVector w = IntVector.fromMemorySegment(I, MEMORY, from + BYTES, ORDER);
        for (int n = 0; n < 4; n += 2) {
          long k0 = x + 16 * q + 4 * n & TOP;
          long k1 = x2 + 16 * q + 4 * n & TOP;
          FloatVector k = FloatVector.broadcast(F, MEMORY.get(FLOAT, k0));
          FloatVector l = FloatVector.broadcast(F, MEMORY.get(FLOAT, k1));
          FloatVector f = first(v);
          a0 = f.fma(k, a0);
          c0 = f.fma(l, c0);
          f = first(w);
          b0 = f.fma(k, b0);
          d0 = f.fma(l, d0);
          k = FloatVector.broadcast(F, MEMORY.get(FLOAT, k0 + 4));
          l = FloatVector.broadcast(F, MEMORY.get(FLOAT, k1 + 4));
          f = second(v);
          a1 = f.fma(k, a1);
          c1 = f.fma(l, c1);
          f = second(w);
          b1 = f.fma(k, b1);
          d1 = f.fma(l, d1);
          v = v.lanewise(ASHR, 16);
          w = w.lanewise(ASHR, 16);
        }
      }
      a0.add(a1).intoMemorySegment(MEMORY, sums & TOP, ORDER);
      b0.add(b1).intoMemorySegment(MEMORY, sums + BYTES & TOP, ORDER);
      c0.add(c1).intoMemorySegment(MEMORY, sums2 & TOP, ORDER);
      d0.add(d1).intoMemorySegment(MEMORY, sums2 + BYTES & TOP, ORDER);
      at += Q8Weight.GROUP_BYTES;
      x += 4 * Q8Weight.GROUP;
      x2 += 4 * Q8Weight.GROUP;
      sums += 4 * Q8Weight.TILE;
      sums2 += 4 * Q8Weight.TILE;
    }
  }

  /**
   * The lowest byte of each lane, times 2^24: as fp32 that is as exact as the byte itself, and
   * shifting it back took longer than anything else here.
   */
  private static FloatVector first(IntVector v) {
    return (FloatVector) v.lanewise(LSHL, 24).convert(I2F, 0);
  }

  /** The second lowest byte of each lane, times 2^24. */
  private static FloatVector second(IntVector v) {
    return (FloatVector) v.lanewise(LSHL, 16).and(0xFF000000).convert(I2F, 0);
  }

  /**
   * The scales of some groups over 2^24, {@value Q8Weight#TILE} for each group by row. Half
   * precision becomes fp32 exactly: the bits are moved to their places, and the biases of the
   * exponents differ by 112.
   */
  private static void scales(long at, int groups, long scales) {
    for (int g = 0; g < groups; g++) {
      for (int i = 0; i < 4 * Q8Weight.APART; i += BYTES) {
        IntVector pairs =
            IntVector.fromMemorySegment(I, MEMORY, at + Q8Weight.CODE_BYTES + i & TOP, ORDER);
        long to = scales + i & TOP;
        pairs
            .lanewise(LSHL, 16)
            .lanewise(ASHR, 3)
            .and(0x8FFFE000)
            .reinterpretAsFloats()
            .mul(0x1p88f)
            .intoMemorySegment(MEMORY, to, ORDER);
        pairs
            .lanewise(ASHR, 3)
            .and(0x8FFFE000)
            .reinterpretAsFloats()
            .mul(0x1p88f)
            .intoMemorySegment(MEMORY, to + 4 * Q8Weight.APART, ORDER);
      }
      at += Q8Weight.GROUP_BYTES;
      scales += 4 * Q8Weight.TILE;
    }
  }

  /**
   * Adds the sums of one activation row times scales to the results of a tile at address {@code y},
   * with an fma for each group.
   */
  private static void scale(int groups, long sums, long scales, long y) {
    for (int row = 0; row < Q8Weight.TILE; row += ROWS) {
      long to = y + 4 * row & TOP;
      FloatVector a = FloatVector.fromMemorySegment(F, MEMORY, to, ORDER);
      FloatVector b = FloatVector.fromMemorySegment(F, MEMORY, to + BYTES, ORDER);
      for (int g = 0; g < groups; g++) {
        long from = sums + 4 * (Q8Weight.TILE * g + row) & TOP;
        long scale = scales + 4 * (Q8Weight.TILE * g + row) & TOP;
        a =
            FloatVector.fromMemorySegment(F, MEMORY, from, ORDER)
                .fma(FloatVector.fromMemorySegment(F, MEMORY, scale, ORDER), a);
        b =
            FloatVector.fromMemorySegment(F, MEMORY, from + BYTES, ORDER)
                .fma(FloatVector.fromMemorySegment(F, MEMORY, scale + BYTES, ORDER), b);
      }
      a.intoMemorySegment(MEMORY, to, ORDER);
      b.intoMemorySegment(MEMORY, to + BYTES, ORDER);
    }
  }
}
