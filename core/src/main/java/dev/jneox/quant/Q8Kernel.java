package dev.jneox.quant;

import static dev.jneox.quant.Lanes.F;
import static dev.jneox.quant.Lanes.I;
import static dev.jneox.quant.Lanes.ORDER;
import static jdk.incubator.vector.VectorOperators.ASHR;
import static jdk.incubator.vector.VectorOperators.I2F;
import static jdk.incubator.vector.VectorOperators.LSHL;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;

/**
 * The inner loops of {@link Q8Weight}. A lane is an output row and holds four codes, which are cut out by shifts and multiplied
 * as fp32. The sum of a group is that of its even inputs plus that of its odd ones, each with an fma for each input in order: two
 * shorter chains, because an fma waits for the one before.
 *
 * <p>Sums and scaling are several methods for the reason given in {@link Q4Kernel}.
 */
final class Q8Kernel {
  private static final int L = F.length();

  /** Output rows that one call of these methods computes: two vectors. */
  static final int ROWS = 2 * L;

  private static final int BYTES = 4 * L;

  /** Bytes of a tile's codes of four inputs. */
  private static final int LINE = 4 * Q8Weight.TILE;

  private Q8Kernel() {}

  /**
   * The sums of one activation row.
   *
   * @param data a weight
   * @param at where the first group begins
   * @param row the first output row in the tile
   * @param groups how many groups
   * @param x activations, from {@code x0} on
   * @param sums for each group {@link #ROWS} sums
   */
  static void sums(MemorySegment data, long at, int row, int groups, float[] x, int x0, float[] sums) {
    int s = 0;
    for (int g = 0; g < groups; g++) {
      FloatVector a0 = FloatVector.zero(F);
      FloatVector a1 = a0;
      FloatVector b0 = a0;
      FloatVector b1 = a0;
      long codes = at + 4 * row;
      for (int q = 0; q < Q8Weight.GROUP / 4; q++) {
        IntVector v = IntVector.fromMemorySegment(I, data, codes, ORDER);
        IntVector w = IntVector.fromMemorySegment(I, data, codes + BYTES, ORDER);
        FloatVector k = FloatVector.broadcast(F, x[x0]);
        a0 = first(v).fma(k, a0);
        b0 = first(w).fma(k, b0);
        k = FloatVector.broadcast(F, x[x0 + 1]);
        a1 = second(v).fma(k, a1);
        b1 = second(w).fma(k, b1);
        v = v.lanewise(ASHR, 16);
        w = w.lanewise(ASHR, 16);
        k = FloatVector.broadcast(F, x[x0 + 2]);
        a0 = first(v).fma(k, a0);
        b0 = first(w).fma(k, b0);
        k = FloatVector.broadcast(F, x[x0 + 3]);
        a1 = second(v).fma(k, a1);
        b1 = second(w).fma(k, b1);
        codes += LINE;
        x0 += 4;
      }
      a0.add(a1).intoArray(sums, s);
      b0.add(b1).intoArray(sums, s + L);
      at += Q8Weight.GROUP_BYTES;
      s += ROWS;
    }
  }

  /** The sums of two activation rows, from {@code x0} and from {@code x1} on. */
  static void sums(
      MemorySegment data, long at, int row, int groups, float[] x, int x0, int x1, float[] sums, float[] sums2) {
    int s = 0;
    for (int g = 0; g < groups; g++) {
      FloatVector a0 = FloatVector.zero(F);
      FloatVector a1 = a0;
      FloatVector b0 = a0;
      FloatVector b1 = a0;
      FloatVector c0 = a0;
      FloatVector c1 = a0;
      FloatVector d0 = a0;
      FloatVector d1 = a0;
      long codes = at + 4 * row;
      for (int q = 0; q < Q8Weight.GROUP / 4; q++) {
        IntVector v = IntVector.fromMemorySegment(I, data, codes, ORDER);
        IntVector w = IntVector.fromMemorySegment(I, data, codes + BYTES, ORDER);
        for (int n = 0; n < 4; n += 2) {
          FloatVector k = FloatVector.broadcast(F, x[x0 + n]);
          FloatVector l = FloatVector.broadcast(F, x[x1 + n]);
          FloatVector f = first(v);
          a0 = f.fma(k, a0);
          c0 = f.fma(l, c0);
          f = first(w);
          b0 = f.fma(k, b0);
          d0 = f.fma(l, d0);
          k = FloatVector.broadcast(F, x[x0 + n + 1]);
          l = FloatVector.broadcast(F, x[x1 + n + 1]);
          f = second(v);
          a1 = f.fma(k, a1);
          c1 = f.fma(l, c1);
          f = second(w);
          b1 = f.fma(k, b1);
          d1 = f.fma(l, d1);
          v = v.lanewise(ASHR, 16);
          w = w.lanewise(ASHR, 16);
        }
        codes += LINE;
        x0 += 4;
        x1 += 4;
      }
      a0.add(a1).intoArray(sums, s);
      b0.add(b1).intoArray(sums, s + L);
      c0.add(c1).intoArray(sums2, s);
      d0.add(d1).intoArray(sums2, s + L);
      at += Q8Weight.GROUP_BYTES;
      s += ROWS;
    }
  }

  /**
   * The lowest byte of each lane, times 2^24: as fp32 that is as exact as the byte itself, and shifting it back took longer than
   * anything else here.
   */
  private static FloatVector first(IntVector v) {
    return (FloatVector) v.lanewise(LSHL, 24).convert(I2F, 0);
  }

  /** The second lowest byte of each lane, times 2^24. */
  private static FloatVector second(IntVector v) {
    return (FloatVector) v.lanewise(LSHL, 16).and(0xFF000000).convert(I2F, 0);
  }

  /**
   * The scales of some groups over 2^24, {@value Q8Weight#TILE} for each group by row. Half precision becomes fp32 exactly: the
   * bits are moved to their places, and the biases of the exponents differ by 112.
   */
  static void scales(MemorySegment data, long at, int groups, float[] scales) {
    for (int s = 0; s < groups * Q8Weight.TILE; s += Q8Weight.TILE) {
      for (int i = 0; i < Q8Weight.APART; i += L) {
        IntVector pairs = IntVector.fromMemorySegment(I, data, at + Q8Weight.CODE_BYTES + 4 * i, ORDER);
        pairs.lanewise(LSHL, 16).lanewise(ASHR, 3).and(0x8FFFE000).reinterpretAsFloats().mul(0x1p88f).intoArray(scales, s + i);
        pairs.lanewise(ASHR, 3).and(0x8FFFE000).reinterpretAsFloats().mul(0x1p88f)
            .intoArray(scales, s + i + Q8Weight.APART);
      }
      at += Q8Weight.GROUP_BYTES;
    }
  }

  /** Adds sums times scales to {@link #ROWS} values of {@code y} from {@code y0} on, with an fma for each group. */
  static void scale(int groups, float[] sums, float[] scales, int row, float[] y, int y0) {
    FloatVector a = FloatVector.fromArray(F, y, y0);
    FloatVector b = FloatVector.fromArray(F, y, y0 + L);
    int s = 0;
    for (int f = row; f < groups * Q8Weight.TILE; f += Q8Weight.TILE) {
      a = FloatVector.fromArray(F, sums, s).fma(FloatVector.fromArray(F, scales, f), a);
      b = FloatVector.fromArray(F, sums, s + L).fma(FloatVector.fromArray(F, scales, f + L), b);
      s += ROWS;
    }
    a.intoArray(y, y0);
    b.intoArray(y, y0 + L);
  }
}
