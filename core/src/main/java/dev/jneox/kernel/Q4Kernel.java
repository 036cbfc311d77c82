package dev.jneox.kernel;

import static dev.jneox.kernel.Lanes.F;
import static dev.jneox.kernel.Lanes.I;
import static dev.jneox.kernel.Memory.MEMORY;
import static dev.jneox.kernel.Memory.TOP;
import static dev.jneox.kernel.PackedWeight.BLOCK;
import static dev.jneox.kernel.StoredNumbers.INT;
import static dev.jneox.kernel.StoredNumbers.ORDER;
import static jdk.incubator.vector.VectorOperators.ASHR;
import static jdk.incubator.vector.VectorOperators.I2F;
import static jdk.incubator.vector.VectorOperators.LSHL;
import static jdk.incubator.vector.VectorOperators.LSHR;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorSpecies;

/**
 * The inner loops of {@link Q4Weight}. A lane of 32 bits is an output row, so nothing is ever
 * summed across lanes, and everything up to a group's sum is 16-bit arithmetic modulo 2^16: the sum
 * over 32 inputs of {@code (n - 8) a}, with codes n of 0 to 15 and a of -127 to 127, is at most 8 *
 * 127 * 32 = 32512, so it is exact however the sums before it wrapped around.
 *
 * <p>A lane holds eight codes of its row, {@code v = n0 + 16 n1 + ... + 16^7 n7}, and none of them
 * is ever cut out. With {@code u_j = v >>> 4j} modulo 2^16 a code is {@code n_j = u_j - 16
 * u_(j+1)}, so the sum of all {@code n_j a_j} is that of {@code u_j (a_j - 16 a_(j-1))}. Shifting
 * the whole lane by 0, 4, 8 and 12 bits gives u0 to u3 in its lower half and u4 to u7 in its upper
 * one: three shifts, by constants, four products and four sums for two codes a 16-bit lane at a
 * time. The two halves are added at the end of a group. The coefficients come from {@link
 * Int8Coefficients}.
 *
 * <p>What C2 makes of a loop decides about its speed; after a change look at the machine code and
 * for GC activity, with different numbers of rows in turn. It stops inlining methods of ours in a
 * method of some fifty vector operations, and a vector that meets a call is put on the heap: so no
 * method is called in a loop but those of the Vector API, and sums and scaling are several methods
 * with memory between them. Addresses are kept below {@link Memory#TOP}, so that nothing is
 * checked. The body of a loop is no longer than the registers can hold: C2 moves all loads of a
 * straight line of code to its beginning. A hot method of more than 325 bytecodes (C2's
 * FreqInlineSize) is compiled on its own: were it shorter, its callers' code would count too.
 */
final class Q4Kernel {
  private static final VectorSpecies<Short> S = VectorSpecies.of(short.class, I.vectorShape());
  private static final int BYTES = I.vectorByteSize();

  /** Output rows whose sums stay in registers: four vectors, or a block if that is less. */
  private static final int ROWS = Math.min(BLOCK, 4 * I.length());

  /** Bytes of a block's codes of eight inputs. */
  private static final int LINE = 4 * BLOCK;

  /** Bytes of a group's codes once they are expanded. */
  private static final int EXPANDED_BYTES = 4 * Q4Weight.CODE_BYTES;

  /**
   * Most groups that are multiplied with all activation rows before the next: they stay in the
   * first-level cache.
   */
  private static final int CHUNK = 8;

  /**
   * From so many activation rows on the codes are shifted once for all of them, and are then four
   * times as large: {@value #EXPANDED_CHUNK} groups of them still stay in the first-level cache.
   */
  private static final int EXPANDED_ROWS = 16;

  private static final int EXPANDED_CHUNK = 4;

  /** A thread's own memory between the parts of the kernel. */
  private record Scratch(MemorySegment sums, MemorySegment scales, MemorySegment expanded) {
    Scratch() {
      this(
          bytes(4 * CHUNK * BLOCK),
          bytes(4 * CHUNK * BLOCK),
          bytes(EXPANDED_CHUNK * EXPANDED_BYTES));
    }

    private static MemorySegment bytes(long n) {
      return Arena.ofAuto().allocate(n, 64);
    }
  }

  private static final ThreadLocal<Scratch> SCRATCH = ThreadLocal.withInitial(Scratch::new);

  private Q4Kernel() {}

  /** {@link PackedWeight#multiply}. */
  static void multiply(
      Q4Weight weight, InputRows activations, float[] y, int at, int ldy, int from, int to) {
    Scratch scratch = SCRATCH.get();
    Int8Coefficients x = (Int8Coefficients) activations.int8();
    int rows = activations.rows();
    int groups = Q4Weight.groups(weight.in());
    long blockBytes = Q4Weight.blockBytes(weight.in());
    int chunk = rows < EXPANDED_ROWS ? CHUNK : EXPANDED_CHUNK;
    Tile tile = Tile.of(rows, BLOCK);
    for (int b = from; b < to; b++) {
      int width = Math.min(BLOCK, weight.out() - b * BLOCK);
      long block = weight.data().address() + b * blockBytes;
      tile.read(y, at + b * BLOCK, ldy, rows, width);
      for (int g = 0; g < groups; g += chunk) {
        chunk(
            block + (long) g * Q4Weight.GROUP_BYTES,
            g,
            Math.min(chunk, groups - g),
            x,
            rows,
            scratch,
            tile);
      }
      tile.write(y, at + b * BLOCK, ldy, rows, width);
    }
  }

  /**
   * {@code n} groups of a block from {@code from} on, for all activation rows: after the first they
   * find the codes in a cache.
   */
  private static void chunk(
      long from, int g, int n, Int8Coefficients x, int rows, Scratch scratch, Tile tile) {
    long sums = scratch.sums.address();
    long scales = scratch.scales.address();
    long expanded = rows < EXPANDED_ROWS ? 0 : scratch.expanded.address();
    if (expanded != 0) {
      expand(from, n, expanded);
    }
    for (int r = 0; r < rows; r++) {
      long first = x.first(r) + g;
      if (expanded != 0) {
        sumsOfExpanded(expanded, n, x.coefficients(first), x.starts(first), sums);
      } else {
        sums(from, n, x.coefficients(first), x.starts(first), sums);
      }
      if (r == 0) {
        scales(from, n, scales); // after the codes: memory comes fastest in its own order
      }
      scale(n, sums, scales, x.scales(first), tile.row(r));
    }
  }

  /**
   * The sums of one activation row with a block.
   *
   * @param at address of the block's first group
   * @param groups how many groups
   * @param k address of the coefficients of the first group
   * @param start address of what its sums start with
   * @param sums where they go, for each group an int for each row of the block: in its halves,
   *     modulo 2^16, two numbers to be added
   */
  private static void sums(long at, int groups, long k, long start, long sums) {
    for (int g = 0; g < groups; g++) {
      ShortVector begin =
          IntVector.broadcast(I, MEMORY.get(INT, start & TOP)).reinterpretAsShorts();
      for (int row = 0; row < BLOCK; row += ROWS) {
        ShortVector a = begin;
        ShortVector b = begin;
        ShortVector c = begin;
        ShortVector d = begin;
        for (int oct = 0; oct < Int8Rows.GROUP / 8; oct++) {
          long from = k + 16 * oct & TOP;
          ShortVector k0 = IntVector.broadcast(I, MEMORY.get(INT, from)).reinterpretAsShorts();
          ShortVector k1 = IntVector.broadcast(I, MEMORY.get(INT, from + 4)).reinterpretAsShorts();
          ShortVector k2 = IntVector.broadcast(I, MEMORY.get(INT, from + 8)).reinterpretAsShorts();
          ShortVector k3 = IntVector.broadcast(I, MEMORY.get(INT, from + 12)).reinterpretAsShorts();
          from = at + LINE * oct + 4 * row & TOP;
          IntVector v = IntVector.fromMemorySegment(I, MEMORY, from, ORDER);
          a =
              a.add(v.reinterpretAsShorts().mul(k0))
                  .add(v.lanewise(LSHR, 4).reinterpretAsShorts().mul(k1))
                  .add(v.lanewise(LSHR, 8).reinterpretAsShorts().mul(k2))
                  .add(v.lanewise(LSHR, 12).reinterpretAsShorts().mul(k3));
          v = IntVector.fromMemorySegment(I, MEMORY, from + BYTES, ORDER);
          b =
              b.add(v.reinterpretAsShorts().mul(k0))
                  .add(v.lanewise(LSHR, 4).reinterpretAsShorts().mul(k1))
                  .add(v.lanewise(LSHR, 8).reinterpretAsShorts().mul(k2))
                  .add(v.lanewise(LSHR, 12).reinterpretAsShorts().mul(k3));
          v = IntVector.fromMemorySegment(I, MEMORY, from + 2 * BYTES, ORDER);
          c =
              c.add(v.reinterpretAsShorts().mul(k0))
                  .add(v.lanewise(LSHR, 4).reinterpretAsShorts().mul(k1))
                  .add(v.lanewise(LSHR, 8).reinterpretAsShorts().mul(k2))
                  .add(v.lanewise(LSHR, 12).reinterpretAsShorts().mul(k3));
          v = IntVector.fromMemorySegment(I, MEMORY, from + 3 * BYTES, ORDER);
          d =
              d.add(v.reinterpretAsShorts().mul(k0))
                  .add(v.lanewise(LSHR, 4).reinterpretAsShorts().mul(k1))
                  .add(v.lanewise(LSHR, 8).reinterpretAsShorts().mul(k2))
                  .add(v.lanewise(LSHR, 12).reinterpretAsShorts().mul(k3));
        }
        long to = sums & TOP;
        a.intoMemorySegment(MEMORY, to, ORDER);
        b.intoMemorySegment(MEMORY, to + BYTES, ORDER);
        c.intoMemorySegment(MEMORY, to + 2 * BYTES, ORDER);
        d.intoMemorySegment(MEMORY, to + 3 * BYTES, ORDER);
        sums += 4 * BYTES;
      }
      at += Q4Weight.GROUP_BYTES;
      k += 4 * Int8Coefficients.INTS;
      start += 4;
    }
  }

  /**
   * Shifts the codes of some groups for {@link #sumsOfExpanded}: for each eight inputs of each row
   * not one int but four, shifted by 0, 4, 8 and 12 bits.
   *
   * @param at address of the block's first group
   * @param expanded where they go: {@code int[groups][4][4][64]}
   */
  private static void expand(long at, int groups, long expanded) {
    for (int g = 0; g < groups; g++) {
      for (int oct = 0; oct < Int8Rows.GROUP / 8; oct++) {
        for (int i = 0; i < LINE; i += BYTES) {
          IntVector v = IntVector.fromMemorySegment(I, MEMORY, at + LINE * oct + i & TOP, ORDER);
          long to = expanded + 4 * LINE * oct + i & TOP;
          v.intoMemorySegment(MEMORY, to, ORDER);
          v.lanewise(LSHR, 4).intoMemorySegment(MEMORY, to + LINE, ORDER);
          v.lanewise(LSHR, 8).intoMemorySegment(MEMORY, to + 2 * LINE, ORDER);
          v.lanewise(LSHR, 12).intoMemorySegment(MEMORY, to + 3 * LINE, ORDER);
        }
      }
      at += Q4Weight.GROUP_BYTES;
      expanded += EXPANDED_BYTES;
    }
  }

  /**
   * What {@link #sums} computes, from codes that {@link #expand} has shifted, with which a product
   * needs no more than to read them.
   */
  private static void sumsOfExpanded(long expanded, int groups, long k, long start, long sums) {
    for (int g = 0; g < groups; g++) {
      ShortVector begin =
          IntVector.broadcast(I, MEMORY.get(INT, start & TOP)).reinterpretAsShorts();
      for (int row = 0; row < BLOCK; row += ROWS) {
        ShortVector a = begin;
        ShortVector b = begin;
        ShortVector c = begin;
        ShortVector d = begin;
        for (int oct = 0; oct < Int8Rows.GROUP / 8; oct++) {
          long from = k + 16 * oct & TOP;
          ShortVector k0 = IntVector.broadcast(I, MEMORY.get(INT, from)).reinterpretAsShorts();
          ShortVector k1 = IntVector.broadcast(I, MEMORY.get(INT, from + 4)).reinterpretAsShorts();
          ShortVector k2 = IntVector.broadcast(I, MEMORY.get(INT, from + 8)).reinterpretAsShorts();
          ShortVector k3 = IntVector.broadcast(I, MEMORY.get(INT, from + 12)).reinterpretAsShorts();
          from = expanded + 4 * LINE * oct + 4 * row & TOP;
          a = a.add(ShortVector.fromMemorySegment(S, MEMORY, from, ORDER).mul(k0));
          b = b.add(ShortVector.fromMemorySegment(S, MEMORY, from + BYTES, ORDER).mul(k0));
          c = c.add(ShortVector.fromMemorySegment(S, MEMORY, from + 2 * BYTES, ORDER).mul(k0));
          d = d.add(ShortVector.fromMemorySegment(S, MEMORY, from + 3 * BYTES, ORDER).mul(k0));
          a = a.add(ShortVector.fromMemorySegment(S, MEMORY, from + LINE, ORDER).mul(k1));
          b = b.add(ShortVector.fromMemorySegment(S, MEMORY, from + LINE + BYTES, ORDER).mul(k1));
          c =
              c.add(
                  ShortVector.fromMemorySegment(S, MEMORY, from + LINE + 2 * BYTES, ORDER).mul(k1));
          d =
              d.add(
                  ShortVector.fromMemorySegment(S, MEMORY, from + LINE + 3 * BYTES, ORDER).mul(k1));
          a = a.add(ShortVector.fromMemorySegment(S, MEMORY, from + 2 * LINE, ORDER).mul(k2));
          b =
              b.add(
                  ShortVector.fromMemorySegment(S, MEMORY, from + 2 * LINE + BYTES, ORDER).mul(k2));
          c =
              c.add(
                  ShortVector.fromMemorySegment(S, MEMORY, from + 2 * LINE + 2 * BYTES, ORDER)
                      .mul(k2));
          d =
              d.add(
                  ShortVector.fromMemorySegment(S, MEMORY, from + 2 * LINE + 3 * BYTES, ORDER)
                      .mul(k2));
          a = a.add(ShortVector.fromMemorySegment(S, MEMORY, from + 3 * LINE, ORDER).mul(k3));
          b =
              b.add(
                  ShortVector.fromMemorySegment(S, MEMORY, from + 3 * LINE + BYTES, ORDER).mul(k3));
          c =
              c.add(
                  ShortVector.fromMemorySegment(S, MEMORY, from + 3 * LINE + 2 * BYTES, ORDER)
                      .mul(k3));
          d =
              d.add(
                  ShortVector.fromMemorySegment(S, MEMORY, from + 3 * LINE + 3 * BYTES, ORDER)
                      .mul(k3));
        }
        long to = sums & TOP;
        a.intoMemorySegment(MEMORY, to, ORDER);
        b.intoMemorySegment(MEMORY, to + BYTES, ORDER);
        c.intoMemorySegment(MEMORY, to + 2 * BYTES, ORDER);
        d.intoMemorySegment(MEMORY, to + 3 * BYTES, ORDER);
        sums += 4 * BYTES;
      }
      expanded += EXPANDED_BYTES;
      k += 4 * Int8Coefficients.INTS;
      start += 4;
    }
  }

  /**
   * The scales of some groups of a block as fp32 over 2^112, one a row. Half precision to fp32:
   * sign, exponent and mantissa are moved to their places; the difference of the exponents' biases,
   * 127 - 15, is left to the factor that comes with the activations. Exact for subnormal halves
   * too.
   *
   * @param at address of the block's first group
   * @param scales where they go
   */
  private static void scales(long at, int groups, long scales) {
    for (int g = 0; g < groups; g++) {
      for (int i = 0; i < 4 * Q4Weight.APART; i += BYTES) {
        IntVector pairs =
            IntVector.fromMemorySegment(I, MEMORY, at + Q4Weight.CODE_BYTES + i & TOP, ORDER);
        long to = scales + i & TOP;
        pairs
            .lanewise(LSHL, 16)
            .lanewise(ASHR, 3)
            .and(0x8FFFE000)
            .intoMemorySegment(MEMORY, to, ORDER);
        pairs
            .lanewise(ASHR, 3)
            .and(0x8FFFE000)
            .intoMemorySegment(MEMORY, to + 4 * Q4Weight.APART, ORDER);
      }
      at += Q4Weight.GROUP_BYTES;
      scales += 4 * BLOCK;
    }
  }

  /**
   * Adds the sums of one activation row times scales to the results of a block, with an fma for
   * each group.
   *
   * @param sums address of the first group's, as {@link #sums} leaves them
   * @param scales address of the first group's, as {@link #scales} leaves them
   * @param xScales address of the activations' scales
   * @param y address of the block's results
   */
  private static void scale(int groups, long sums, long scales, long xScales, long y) {
    for (int row = 0; row < BLOCK; row += ROWS) {
      long to = y + 4 * row & TOP;
      FloatVector a = FloatVector.fromMemorySegment(F, MEMORY, to, ORDER);
      FloatVector b = FloatVector.fromMemorySegment(F, MEMORY, to + BYTES, ORDER);
      FloatVector c = FloatVector.fromMemorySegment(F, MEMORY, to + 2 * BYTES, ORDER);
      FloatVector d = FloatVector.fromMemorySegment(F, MEMORY, to + 3 * BYTES, ORDER);
      for (int g = 0; g < groups; g++) {
        FloatVector k =
            IntVector.broadcast(I, MEMORY.get(INT, xScales + 4 * g & TOP)).reinterpretAsFloats();
        long from = sums + 4 * (BLOCK * g + row) & TOP;
        long scale = scales + 4 * (BLOCK * g + row) & TOP;
        // The halves of each int are added in its upper one, which makes a sum that is too large by
        // 2^16.
        IntVector s = IntVector.fromMemorySegment(I, MEMORY, from, ORDER);
        a =
            ((FloatVector) s.add(s.lanewise(LSHL, 16)).and(0xFFFF0000).convert(I2F, 0))
                .fma(FloatVector.fromMemorySegment(F, MEMORY, scale, ORDER).mul(k), a);
        s = IntVector.fromMemorySegment(I, MEMORY, from + BYTES, ORDER);
        b =
            ((FloatVector) s.add(s.lanewise(LSHL, 16)).and(0xFFFF0000).convert(I2F, 0))
                .fma(FloatVector.fromMemorySegment(F, MEMORY, scale + BYTES, ORDER).mul(k), b);
        s = IntVector.fromMemorySegment(I, MEMORY, from + 2 * BYTES, ORDER);
        c =
            ((FloatVector) s.add(s.lanewise(LSHL, 16)).and(0xFFFF0000).convert(I2F, 0))
                .fma(FloatVector.fromMemorySegment(F, MEMORY, scale + 2 * BYTES, ORDER).mul(k), c);
        s = IntVector.fromMemorySegment(I, MEMORY, from + 3 * BYTES, ORDER);
        d =
            ((FloatVector) s.add(s.lanewise(LSHL, 16)).and(0xFFFF0000).convert(I2F, 0))
                .fma(FloatVector.fromMemorySegment(F, MEMORY, scale + 3 * BYTES, ORDER).mul(k), d);
      }
      a.intoMemorySegment(MEMORY, to, ORDER);
      b.intoMemorySegment(MEMORY, to + BYTES, ORDER);
      c.intoMemorySegment(MEMORY, to + 2 * BYTES, ORDER);
      d.intoMemorySegment(MEMORY, to + 3 * BYTES, ORDER);
    }
  }
}
