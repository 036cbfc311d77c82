package dev.jneox.quant;

import static dev.jneox.quant.Lanes.F;
import static dev.jneox.quant.Lanes.I;
import static dev.jneox.quant.Lanes.MEMORY;
import static dev.jneox.quant.Lanes.ORDER;
import static dev.jneox.quant.Lanes.TOP;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;

/**
 * Rows of activations as 8-bit codes in groups of {@value #GROUP}: value {@code i} of a group is {@code a[i] * scale} with {@code
 * scale = max|x| / 127} and {@code a[i] = rint(x[i] * (127 / max|x|))}, both divisions and the product in fp32. How they are kept is the
 * matter of the kernel that multiplies them.
 */
abstract sealed class Int8Rows permits Int8Coefficients, Int8Tiles {
  static final int GROUP = 32;

  /** Groups whose largest value is below count as zero: the inverse of their scale is no fp32 number. */
  private static final float TINY = 0x1p-100f;

  /** Adding it leaves an integer in the low bits of the mantissa, rounded to even. */
  private static final float ROUND = 0x1.8p23f;

  private static final ThreadLocal<int[]> CODES = ThreadLocal.withInitial(() -> new int[GROUP]);

  final int groups;

  /** From a row's first group to the next row's: an odd number, so that those of many rows do not share places of a cache. */
  final int stride;

  Int8Rows(int groups) {
    this.groups = groups;
    this.stride = groups | 1;
  }

  /** Says that so many rows follow. */
  abstract void begin(int rows);

  /** Keeps a group of a row. */
  abstract void put(int row, int group, int[] codes, float scale);

  /** Fills row {@code row} from the {@code GROUP * groups} values at address {@code x}; several threads may fill a row each. */
  final void set(int row, long x) {
    int[] codes = CODES.get();
    for (int g = 0; g < groups; g++) {
      long from = x + 4L * GROUP * g;
      float max = largest(from);
      boolean zero = max < TINY;
      codes(from, zero ? 0 : 127 / max, codes);
      put(row, g, codes, zero ? 0 : max / 127);
    }
  }

  private static float largest(long from) {
    FloatVector m = FloatVector.zero(F);
    for (int i = 0; i < GROUP; i += F.length()) {
      m = m.max(FloatVector.fromMemorySegment(F, MEMORY, from + 4 * i & TOP, ORDER).abs());
    }
    return m.reduceLanes(VectorOperators.MAX);
  }

  private static void codes(long from, float inverse, int[] codes) {
    for (int i = 0; i < GROUP; i += F.length()) {
      IntVector a = FloatVector.fromMemorySegment(F, MEMORY, from + 4 * i & TOP, ORDER).mul(inverse).add(ROUND).reinterpretAsInts();
      a.sub(Float.floatToRawIntBits(ROUND)).intoArray(codes, i);
    }
  }
}
