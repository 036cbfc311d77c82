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
 * <p>C2 gives up inlining in a method of very many vector operations, and a vector that meets a call is put on the heap. So sums
 * and scaling are two methods with an array between them; look for GC activity after a change.
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
   * The sums of one activation row. The scales between the codes are put aside for {@link #scale}: memory is read once, from
   * front to back, which is the order it comes fastest in.
   *
   * @param data a weight
   * @param at the first byte to read: that of the first lane in the first group
   * @param groups how many groups
   * @param g index of the first group in the arrays of {@code x}
   * @param sums for each group {@link #ROWS} sums
   * @param scales for each group {@link #ROWS} scales
   */
  static void sums(MemorySegment data, long at, int groups, Int8Rows x, int g, short[] sums, short[] scales) {
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
      putAside(data, at, scales, s);
      at += LINE;
      s += ROWS;
    }
  }

  /** The sums of two activation rows, from group {@code g} and group {@code h} on. */
  static void sums(
      MemorySegment data, long at, int groups, Int8Rows x, int g, int h, short[] sums, short[] sums2, short[] scales) {
    int[] coefficients = x.coefficients();
    int[] starts = x.starts();
    int c = g * Int8Rows.GROUP;
    int d = h * Int8Rows.GROUP;
    int s = 0;
    for (int i = 0; i < groups; i++) {
      ShortVector left = pair(starts, g + i);
      ShortVector right = left;
      ShortVector left2 = pair(starts, h + i);
      ShortVector right2 = left2;
      for (int q = 0; q < Int8Rows.GROUP; q += 4) {
        ShortVector v = ShortVector.fromMemorySegment(S, data, at, ORDER);
        ShortVector w = ShortVector.fromMemorySegment(S, data, at + BYTES, ORDER);
        for (int n = q; n < q + 4; n++) {
          ShortVector k = pair(coefficients, c + n);
          left = left.add(v.mul(k));
          right = right.add(w.mul(k));
          k = pair(coefficients, d + n);
          left2 = left2.add(v.mul(k));
          right2 = right2.add(w.mul(k));
          v = v.lanewise(LSHR, 4);
          w = w.lanewise(LSHR, 4);
        }
        at += LINE;
      }
      c += Int8Rows.GROUP;
      d += Int8Rows.GROUP;
      left.intoArray(sums, s);
      right.intoArray(sums, s + S.length());
      left2.intoArray(sums2, s);
      right2.intoArray(sums2, s + S.length());
      putAside(data, at, scales, s);
      at += LINE;
      s += ROWS;
    }
  }

  private static void putAside(MemorySegment data, long at, short[] scales, int s) {
    ShortVector.fromMemorySegment(S, data, at, ORDER).intoArray(scales, s);
    ShortVector.fromMemorySegment(S, data, at + BYTES, ORDER).intoArray(scales, s + S.length());
  }

  /** An int of two equal shorts in all lanes: a broadcast of 32 bits costs nothing but the read, one of 16 bits is a shuffle. */
  private static ShortVector pair(int[] values, int at) {
    return IntVector.broadcast(I, values[at]).reinterpretAsShorts();
  }

  /**
   * Adds sums times scales to {@code y}. Neighbouring lanes are rows {@value Q4Weight#APART} apart, so that widening even and odd
   * lanes by shifts leaves consecutive rows side by side and no lane is ever moved.
   *
   * @param y0 index of the output row of the first lane
   * @param y1 index of the output row of the second vector's first lane
   */
  static void scale(int groups, Int8Rows x, int g, short[] sums, short[] scales, float[] y, int y0, int y1) {
    float[] xScales = x.scales();
    FloatVector even0 = FloatVector.fromArray(F, y, y0);
    FloatVector odd0 = FloatVector.fromArray(F, y, y0 + Q4Weight.APART);
    FloatVector even1 = FloatVector.fromArray(F, y, y1);
    FloatVector odd1 = FloatVector.fromArray(F, y, y1 + Q4Weight.APART);
    int s = 0;
    for (int end = g + groups; g < end; g++) {
      FloatVector k = FloatVector.broadcast(F, xScales[g]);
      IntVector scale = ShortVector.fromArray(S, scales, s).reinterpretAsInts();
      IntVector sum = ShortVector.fromArray(S, sums, s).reinterpretAsInts();
      even0 = low(sum).fma(lowHalf(scale).mul(k), even0);
      odd0 = high(sum).fma(highHalf(scale).mul(k), odd0);
      scale = ShortVector.fromArray(S, scales, s + S.length()).reinterpretAsInts();
      sum = ShortVector.fromArray(S, sums, s + S.length()).reinterpretAsInts();
      even1 = low(sum).fma(lowHalf(scale).mul(k), even1);
      odd1 = high(sum).fma(highHalf(scale).mul(k), odd1);
      s += ROWS;
    }
    even0.intoArray(y, y0);
    odd0.intoArray(y, y0 + Q4Weight.APART);
    even1.intoArray(y, y1);
    odd1.intoArray(y, y1 + Q4Weight.APART);
  }

  private static FloatVector low(IntVector pairs) {
    return (FloatVector) pairs.lanewise(LSHL, 16).lanewise(ASHR, 16).convert(I2F, 0);
  }

  private static FloatVector high(IntVector pairs) {
    return (FloatVector) pairs.lanewise(ASHR, 16).convert(I2F, 0);
  }

  // Half precision to fp32, over 2^112: sign, exponent and mantissa are moved to their places, and the difference of the biases,
  // 127 - 15, is left to the factor that comes with the activations. Exact for subnormal halves too.

  private static FloatVector lowHalf(IntVector pairs) {
    return pairs.lanewise(LSHL, 16).lanewise(ASHR, 3).and(0x8FFFE000).reinterpretAsFloats();
  }

  private static FloatVector highHalf(IntVector pairs) {
    return pairs.lanewise(ASHR, 3).and(0x8FFFE000).reinterpretAsFloats();
  }
}
