package dev.jneox.quant;

import static dev.jneox.quant.Lanes.F;
import static dev.jneox.quant.Lanes.HALF;
import static dev.jneox.quant.Lanes.I;
import static dev.jneox.quant.Lanes.ORDER;
import static jdk.incubator.vector.VectorOperators.ASHR;
import static jdk.incubator.vector.VectorOperators.I2F;
import static jdk.incubator.vector.VectorOperators.LSHL;
import static jdk.incubator.vector.VectorOperators.S2I;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;

/**
 * The inner loops of {@link Q8Weight}. A lane is an output row and holds four codes, which are cut out by shifts and multiplied
 * as fp32. The sum of a group is that of its even inputs plus that of its odd ones, each with an fma for each input in order: two
 * shorter chains, because an fma waits for the one before.
 *
 * <p>Sums and scaling are two methods for the reason given in {@link Q4Kernel}.
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
   * @param scales for each group {@link #ROWS} scales
   */
  static void sums(
      MemorySegment data, long at, int row, int groups, float[] x, int x0, float[] sums, short[] scales) {
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
        a0 = code(v, 24).fma(k, a0);
        b0 = code(w, 24).fma(k, b0);
        k = FloatVector.broadcast(F, x[x0 + 1]);
        a1 = code(v, 16).fma(k, a1);
        b1 = code(w, 16).fma(k, b1);
        k = FloatVector.broadcast(F, x[x0 + 2]);
        a0 = code(v, 8).fma(k, a0);
        b0 = code(w, 8).fma(k, b0);
        k = FloatVector.broadcast(F, x[x0 + 3]);
        a1 = last(v).fma(k, a1);
        b1 = last(w).fma(k, b1);
        codes += LINE;
        x0 += 4;
      }
      a0.add(a1).intoArray(sums, s);
      b0.add(b1).intoArray(sums, s + L);
      putAside(data, at + Q8Weight.CODE_BYTES + 2 * row, scales, s);
      at += Q8Weight.GROUP_BYTES;
      s += ROWS;
    }
  }

  /** The sums of two activation rows, from {@code x0} and from {@code x1} on. */
  static void sums(
      MemorySegment data, long at, int row, int groups, float[] x, int x0, int x1, float[] sums, float[] sums2, short[] scales) {
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
          FloatVector f = code(v, 24);
          a0 = f.fma(k, a0);
          c0 = f.fma(l, c0);
          f = code(w, 24);
          b0 = f.fma(k, b0);
          d0 = f.fma(l, d0);
          k = FloatVector.broadcast(F, x[x0 + n + 1]);
          l = FloatVector.broadcast(F, x[x1 + n + 1]);
          f = code(v, 16);
          a1 = f.fma(k, a1);
          c1 = f.fma(l, c1);
          f = code(w, 16);
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
      putAside(data, at + Q8Weight.CODE_BYTES + 2 * row, scales, s);
      at += Q8Weight.GROUP_BYTES;
      s += ROWS;
    }
  }

  /** The byte of each lane that {@code shift} to the left brings to the front. */
  private static FloatVector code(IntVector v, int shift) {
    return (FloatVector) v.lanewise(LSHL, shift).lanewise(ASHR, 24).convert(I2F, 0);
  }

  private static FloatVector last(IntVector v) {
    return (FloatVector) v.lanewise(ASHR, 24).convert(I2F, 0);
  }

  private static void putAside(MemorySegment data, long at, short[] scales, int s) {
    ShortVector.fromMemorySegment(HALF, data, at, ORDER).intoArray(scales, s);
    ShortVector.fromMemorySegment(HALF, data, at + 2 * L, ORDER).intoArray(scales, s + L);
  }

  /** Adds sums times scales to {@link #ROWS} values of {@code y} from {@code y0} on, with an fma for each group. */
  static void scale(int groups, float[] sums, short[] scales, float[] y, int y0) {
    FloatVector a = FloatVector.fromArray(F, y, y0);
    FloatVector b = FloatVector.fromArray(F, y, y0 + L);
    for (int s = 0; s < groups * ROWS; s += ROWS) {
      a = FloatVector.fromArray(F, sums, s).fma(half(ShortVector.fromArray(HALF, scales, s)), a);
      b = FloatVector.fromArray(F, sums, s + L).fma(half(ShortVector.fromArray(HALF, scales, s + L)), b);
    }
    a.intoArray(y, y0);
    b.intoArray(y, y0 + L);
  }

  /** Half precision as fp32, exactly: the bits are moved to their places, and the biases of the exponents differ by 112. */
  private static FloatVector half(ShortVector v) {
    return ((IntVector) v.convertShape(S2I, I, 0)).lanewise(LSHL, 13).and(0x8FFFE000).reinterpretAsFloats().mul(0x1p112f);
  }
}
