package dev.jneox.quant;

import static dev.jneox.quant.Lanes.F;
import static dev.jneox.quant.Lanes.I;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;

/**
 * Rows of activations as 8-bit codes in groups of {@value #GROUP}, in the form {@link Q4Kernel} multiplies: value {@code i} of a
 * group is {@code a[i] * scale} with {@code scale = max|x| / 127} and {@code a[i] = rint(x[i] * (127 / max|x|))}, both divisions
 * and the product in fp32.
 */
final class Int8Rows {
  static final int GROUP = 32;

  /** Groups whose largest value is below count as zero: the inverse of their scale is no fp32 number. */
  private static final float TINY = 0x1p-100f;

  /** Adding it leaves an integer in the low bits of the mantissa, rounded to even. */
  private static final float ROUND = 0x1.8p23f;

  /** What {@link Q4Kernel} leaves to multiply by: its scales of weights are too small by 2^112, its sums too large by 2^16. */
  private static final float FACTOR = 0x1p96f;

  /** Minus sixteen times the code before, except for the first of each four. */
  private static final IntVector BEFORE = IntVector.broadcast(I, -16).blend(0, VectorMask.fromLong(I, 0x1111111111111111L));

  private final int groups;
  private final ThreadLocal<int[]> codes; // of the row that is being filled
  private final int[] coefficients;
  private final int[] starts;
  private final float[] scales;

  Int8Rows(int rows, int groups) {
    this.groups = groups;
    this.codes = ThreadLocal.withInitial(() -> new int[1 + GROUP * groups]); // one in front, for the code before the first
    this.coefficients = new int[Math.multiplyExact(rows, GROUP * groups)];
    this.starts = new int[rows * groups];
    this.scales = new float[rows * groups];
  }

  /** Groups of a row; those of row r start at {@code r * groups()}. */
  int groups() {
    return groups;
  }

  /**
   * For each four codes a0 to a3 of the input the coefficients {@code a0, a1 - 16 a0, a2 - 16 a1, a3 - 16 a2}, each as two equal
   * shorts: {@value #GROUP} ints a group.
   */
  int[] coefficients() {
    return coefficients;
  }

  /** What a group's sums start with, minus eight times the sum of its codes, as two equal shorts. */
  int[] starts() {
    return starts;
  }

  /** The scale of each group times 2^96, which {@link Q4Kernel} leaves to multiply by. */
  float[] scales() {
    return scales;
  }

  /** Fills row {@code row} from {@code GROUP * groups()} values; several threads may fill a row each. */
  void set(int row, float[] x, int at) {
    int[] codes = this.codes.get();
    for (int g = 0; g < groups; g++) {
      int from = at + GROUP * g;
      float max = largest(x, from);
      boolean zero = max < TINY;
      scales[row * groups + g] = zero ? 0 : max / 127 * FACTOR;
      starts[row * groups + g] = twice(-8 * codes(x, from, zero ? 0 : 127 / max, codes, 1 + GROUP * g));
    }
    combine(codes, row * GROUP * groups);
  }

  private static float largest(float[] x, int from) {
    FloatVector m = FloatVector.zero(F);
    for (int i = 0; i < GROUP; i += F.length()) {
      m = m.max(FloatVector.fromArray(F, x, from + i).abs());
    }
    return m.reduceLanes(VectorOperators.MAX);
  }

  /** Writes the codes of a group and returns their sum. */
  private static int codes(float[] x, int from, float inverse, int[] codes, int to) {
    IntVector sum = IntVector.zero(I);
    for (int i = 0; i < GROUP; i += F.length()) {
      IntVector a = FloatVector.fromArray(F, x, from + i).mul(inverse).add(ROUND).reinterpretAsInts();
      a = a.sub(Float.floatToRawIntBits(ROUND));
      a.intoArray(codes, to + i);
      sum = sum.add(a);
    }
    return sum.reduceLanes(VectorOperators.ADD);
  }

  private void combine(int[] codes, int to) {
    for (int i = 0; i < GROUP * groups; i += I.length()) {
      IntVector c = IntVector.fromArray(I, codes, i).mul(BEFORE).add(IntVector.fromArray(I, codes, i + 1));
      c.and(0xFFFF).or(c.lanewise(VectorOperators.LSHL, 16)).intoArray(coefficients, to + i);
    }
  }

  private static int twice(int value) {
    return (value & 0xFFFF) * 0x10001;
  }
}
