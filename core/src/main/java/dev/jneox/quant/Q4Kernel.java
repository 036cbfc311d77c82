package dev.jneox.quant;

import static dev.jneox.quant.Lanes.F;
import static dev.jneox.quant.Lanes.I;
import static dev.jneox.quant.Lanes.ORDER;
import static jdk.incubator.vector.VectorOperators.ASHR;
import static jdk.incubator.vector.VectorOperators.I2F;
import static jdk.incubator.vector.VectorOperators.LSHL;
import static jdk.incubator.vector.VectorOperators.LSHR;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorSpecies;

/**
 * The inner loops of {@link Q4Weight}. A lane is an output row, so nothing is ever summed across lanes, and everything up to a
 * group's sum is 16-bit arithmetic modulo 2^16: the sum over 32 inputs of {@code (n - 8) a}, with codes n of 0 to 15 and a of
 * -127 to 127, is at most 8 * 127 * 32 = 32512, so it is exact however the sums before it wrapped around.
 *
 * <p>A lane holds four codes, {@code v = n0 + 16 n1 + 256 n2 + 4096 n3}, and none of them is ever cut out: with {@code u_i =
 * v >>> 4i} a code is {@code n_i = u_i - 16 u_(i+1)}, so {@code n0 a0 + n1 a1 + n2 a2 + n3 a3 = u0 a0 + u1 (a1 - 16 a0) +
 * u2 (a2 - 16 a1) + u3 (a3 - 16 a2)}: three shifts, four products, four sums. The coefficients come from {@link Int8Rows}.
 *
 * <p>C2 gives up inlining in a method of some fifty vector operations, and a vector that meets a call is put on the heap. So sums
 * and scaling are several methods with arrays between them, and the loop over the four codes is left for C2 to unroll, which it
 * does where the count is a constant. A hot method of more than 325 bytecodes (C2's FreqInlineSize) is compiled on its own: were
 * it shorter, its callers' code would count too. After a change look for GC activity, with different numbers of rows in turn.
 */
final class Q4Kernel {
  private static final VectorSpecies<Short> S = ShortVector.SPECIES_PREFERRED;
  private static final int BYTES = S.vectorByteSize();

  /** Output rows that one call of these methods computes: two vectors, which share the broadcast coefficients. */
  static final int ROWS = 2 * S.length();

  /** Bytes of a block's codes of four inputs, and of its scales of a group, which follow the codes. */
  private static final int LINE = 2 * PackedWeight.BLOCK;

  private Q4Kernel() {}

  /**
   * The sums of one activation row.
   *
   * @param data a weight
   * @param at the first byte to read: that of the first lane in the first group
   * @param groups how many groups
   * @param g index of the first group in the arrays of {@code x}
   * @param sums for each group {@link #ROWS} sums
   */
  static void sums(MemorySegment data, long at, int groups, Int8Rows x, int g, short[] sums) {
    int[] coefficients = x.coefficients();
    int[] starts = x.starts();
    int c = g * Int8Rows.GROUP;
    int s = 0;
    for (int end = g + groups; g < end; g++) {
      ShortVector left = pair(starts, g);
      ShortVector right = left;
      for (int q = 0; q < Int8Rows.GROUP / 4; q++) {
        ShortVector v = ShortVector.fromMemorySegment(S, data, at, ORDER);
        ShortVector w = ShortVector.fromMemorySegment(S, data, at + BYTES, ORDER);
        ShortVector k = pair(coefficients, c);
        left = left.add(v.mul(k));
        right = right.add(w.mul(k));
        k = pair(coefficients, c + 1);
        left = left.add(v.lanewise(LSHR, 4).mul(k));
        right = right.add(w.lanewise(LSHR, 4).mul(k));
        k = pair(coefficients, c + 2);
        left = left.add(v.lanewise(LSHR, 8).mul(k));
        right = right.add(w.lanewise(LSHR, 8).mul(k));
        k = pair(coefficients, c + 3);
        left = left.add(v.lanewise(LSHR, 12).mul(k));
        right = right.add(w.lanewise(LSHR, 12).mul(k));
        at += LINE;
        c += 4;
      }
      left.intoArray(sums, s);
      right.intoArray(sums, s + S.length());
      at += LINE;
      s += ROWS;
    }
  }

  /** The sums of four activation rows, from groups {@code g0} to {@code g3} on, one row after the other in {@code sums}. */
  static void sums(
      MemorySegment data, long at, int groups, Int8Rows x, int g0, int g1, int g2, int g3, short[] sums) {
    int[] coefficients = x.coefficients();
    int[] starts = x.starts();
    int c0 = g0 * Int8Rows.GROUP;
    int c1 = g1 * Int8Rows.GROUP;
    int c2 = g2 * Int8Rows.GROUP;
    int c3 = g3 * Int8Rows.GROUP;
    int next = groups * ROWS;
    int s = 0;
    for (int i = 0; i < groups; i++) {
      ShortVector left0 = pair(starts, g0 + i);
      ShortVector right0 = left0;
      ShortVector left1 = pair(starts, g1 + i);
      ShortVector right1 = left1;
      ShortVector left2 = pair(starts, g2 + i);
      ShortVector right2 = left2;
      ShortVector left3 = pair(starts, g3 + i);
      ShortVector right3 = left3;
      for (int q = 0; q < Int8Rows.GROUP / 4; q++) {
        ShortVector v = ShortVector.fromMemorySegment(S, data, at, ORDER);
        ShortVector w = ShortVector.fromMemorySegment(S, data, at + BYTES, ORDER);
        for (int n = 0; n < 4; n++) {
          ShortVector k = pair(coefficients, c0 + n);
          left0 = left0.add(v.mul(k));
          right0 = right0.add(w.mul(k));
          k = pair(coefficients, c1 + n);
          left1 = left1.add(v.mul(k));
          right1 = right1.add(w.mul(k));
          k = pair(coefficients, c2 + n);
          left2 = left2.add(v.mul(k));
          right2 = right2.add(w.mul(k));
          k = pair(coefficients, c3 + n);
          left3 = left3.add(v.mul(k));
          right3 = right3.add(w.mul(k));
          v = v.lanewise(LSHR, 4);
          w = w.lanewise(LSHR, 4);
        }
        at += LINE;
        c0 += 4;
        c1 += 4;
        c2 += 4;
        c3 += 4;
      }
      left0.intoArray(sums, s);
      right0.intoArray(sums, s + S.length());
      left1.intoArray(sums, s + next);
      right1.intoArray(sums, s + next + S.length());
      left2.intoArray(sums, s + 2 * next);
      right2.intoArray(sums, s + 2 * next + S.length());
      left3.intoArray(sums, s + 3 * next);
      right3.intoArray(sums, s + 3 * next + S.length());
      at += LINE;
      s += ROWS;
    }
  }

  /**
   * The scales of some groups as fp32 over 2^112, in the order {@link #scale} reads them: {@link #ROWS} for each group.
   *
   * @param at where the codes of the first lane in the first group are
   */
  static void scales(MemorySegment data, long at, int groups, float[] scales) {
    at += Q4Weight.CODE_BYTES;
    for (int s = 0; s < groups * ROWS; s += ROWS) {
      halves(data, at, scales, s);
      halves(data, at + BYTES, scales, s + S.length());
      at += Q4Weight.GROUP_BYTES;
    }
  }

  /**
   * Half precision to fp32: sign, exponent and mantissa are moved to their places. The difference of the exponents' biases, 127 -
   * 15, is left to the factor that comes with the activations. Exact for subnormal halves too.
   */
  private static void halves(MemorySegment data, long at, float[] scales, int s) {
    IntVector pairs = ShortVector.fromMemorySegment(S, data, at, ORDER).reinterpretAsInts();
    pairs.lanewise(LSHL, 16).lanewise(ASHR, 3).and(0x8FFFE000).reinterpretAsFloats().intoArray(scales, s);
    pairs.lanewise(ASHR, 3).and(0x8FFFE000).reinterpretAsFloats().intoArray(scales, s + F.length());
  }

  /** An int of two equal shorts in all lanes: a broadcast of 32 bits costs nothing but the read, one of 16 bits is a shuffle. */
  private static ShortVector pair(int[] values, int at) {
    return IntVector.broadcast(I, values[at]).reinterpretAsShorts();
  }

  /**
   * Adds sums times scales to {@code y}. Neighbouring lanes are rows {@value Q4Weight#APART} apart, so that the even and the odd
   * lanes of a vector, each brought to the upper half of an int, are consecutive rows and no lane is ever moved.
   *
   * @param s index of the first sum
   * @param y0 index of the output row of the first lane
   * @param y1 index of the output row of the second vector's first lane
   */
  static void scale(int groups, Int8Rows x, int g, short[] sums, int s, float[] scales, float[] y, int y0, int y1) {
    float[] xScales = x.scales();
    FloatVector even0 = FloatVector.fromArray(F, y, y0);
    FloatVector odd0 = FloatVector.fromArray(F, y, y0 + Q4Weight.APART);
    FloatVector even1 = FloatVector.fromArray(F, y, y1);
    FloatVector odd1 = FloatVector.fromArray(F, y, y1 + Q4Weight.APART);
    int f = 0;
    for (int end = g + groups; g < end; g++) {
      FloatVector k = FloatVector.broadcast(F, xScales[g]);
      IntVector pairs = ShortVector.fromArray(S, sums, s).reinterpretAsInts();
      even0 = low(pairs).fma(FloatVector.fromArray(F, scales, f).mul(k), even0);
      odd0 = high(pairs).fma(FloatVector.fromArray(F, scales, f + F.length()).mul(k), odd0);
      pairs = ShortVector.fromArray(S, sums, s + S.length()).reinterpretAsInts();
      even1 = low(pairs).fma(FloatVector.fromArray(F, scales, f + 2 * F.length()).mul(k), even1);
      odd1 = high(pairs).fma(FloatVector.fromArray(F, scales, f + 3 * F.length()).mul(k), odd1);
      s += ROWS;
      f += ROWS;
    }
    even0.intoArray(y, y0);
    odd0.intoArray(y, y0 + Q4Weight.APART);
    even1.intoArray(y, y1);
    odd1.intoArray(y, y1 + Q4Weight.APART);
  }

  /** The shorts in the lower halves, times 2^16. */
  private static FloatVector low(IntVector pairs) {
    return (FloatVector) pairs.lanewise(LSHL, 16).convert(I2F, 0);
  }

  /** The shorts in the upper halves, times 2^16. */
  private static FloatVector high(IntVector pairs) {
    return (FloatVector) pairs.and(0xFFFF0000).convert(I2F, 0);
  }
}
