package dev.jneox.quant;

import static dev.jneox.quant.Lanes.F;
import static dev.jneox.quant.Lanes.I;
import static dev.jneox.quant.Lanes.MEMORY;
import static dev.jneox.quant.Lanes.ORDER;
import static dev.jneox.quant.Lanes.TOP;
import static jdk.incubator.vector.VectorOperators.LSHL;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * Rows of activations as 8-bit codes in groups of {@value #GROUP}, in the form {@link Q4Kernel} multiplies: value {@code i} of a
 * group is {@code a[i] * scale} with {@code scale = max|x| / 127} and {@code a[i] = rint(x[i] * (127 / max|x|))}, both divisions
 * and the product in fp32.
 */
final class Int8Rows {
  static final int GROUP = 32;

  /** Ints of a group's coefficients. */
  static final int COEFFICIENTS = GROUP / 2;

  /** Groups whose largest value is below count as zero: the inverse of their scale is no fp32 number. */
  private static final float TINY = 0x1p-100f;

  /** Adding it leaves an integer in the low bits of the mantissa, rounded to even. */
  private static final float ROUND = 0x1.8p23f;

  /** What {@link Q4Kernel} leaves to multiply by: its scales of weights are too small by 2^112, its sums too large by 2^16. */
  private static final float FACTOR = 0x1p96f;

  private static final VectorSpecies<Integer> FOUR = IntVector.SPECIES_128;

  /** Sixteen for the code before, but for the first code of eight, which has none. */
  private static final IntVector BEFORE = IntVector.fromArray(FOUR, new int[] {0, 16, 16, 16}, 0);

  private final int groups;
  /** From a row's first group to the next row's: an odd number, so that those of many rows do not share places of a cache. */
  private final int stride;
  private final ThreadLocal<int[]> codes; // of the row that is being filled
  private final MemorySegment coefficients;
  private final MemorySegment starts;
  private final MemorySegment scales;

  Int8Rows(int rows, int groups) {
    this.groups = groups;
    this.stride = groups | 1;
    this.codes = ThreadLocal.withInitial(() -> new int[1 + GROUP * groups]); // one in front, for the code before the first
    this.coefficients = Arena.ofAuto().allocate(4L * rows * COEFFICIENTS * stride, 64);
    this.starts = Arena.ofAuto().allocate(4L * rows * stride, 64);
    this.scales = Arena.ofAuto().allocate(4L * rows * stride, 64);
  }

  /** The first group of row {@code r}; its others follow. */
  long first(int r) {
    return (long) r * stride;
  }

  /**
   * For each eight codes a0 to a7 of the input the coefficients {@code k0 = a0, k1 = a1 - 16 a0, ... k7 = a7 - 16 a6} as four ints,
   * {@code k0 + 2^16 k4} to {@code k3 + 2^16 k7}: the address of the {@value #COEFFICIENTS} ints of group
   * {@code g}, of which {@link #first} gives a row's first.
   */
  long coefficients(long g) {
    return coefficients.address() + 4 * COEFFICIENTS * g;
  }

  /** What a group's sums start with, minus eight times the sum of its codes, in the lower half of an int: its address. */
  long starts(long g) {
    return starts.address() + 4 * g;
  }

  /** The scale of a group, in fp32, times 2^96, which {@link Q4Kernel} leaves to multiply by: its address. */
  long scales(long g) {
    return scales.address() + 4 * g;
  }

  /** Fills row {@code row} from the {@code GROUP * groups()} values at address {@code x}; several threads may fill a row each. */
  void set(int row, long x) {
    int[] codes = this.codes.get();
    for (int g = 0; g < groups; g++) {
      long from = x + 4L * GROUP * g;
      float max = largest(from);
      boolean zero = max < TINY;
      scales.setAtIndex(ValueLayout.JAVA_FLOAT, first(row) + g, zero ? 0 : max / 127 * FACTOR);
      int sum = codes(from, zero ? 0 : 127 / max, codes, 1 + GROUP * g);
      starts.setAtIndex(ValueLayout.JAVA_INT, first(row) + g, -8 * sum & 0xFFFF);
    }
    combine(codes, 4 * COEFFICIENTS * first(row));
  }

  private static float largest(long from) {
    FloatVector m = FloatVector.zero(F);
    for (int i = 0; i < GROUP; i += F.length()) {
      m = m.max(FloatVector.fromMemorySegment(F, MEMORY, from + 4 * i & TOP, ORDER).abs());
    }
    return m.reduceLanes(VectorOperators.MAX);
  }

  /** Writes the codes of a group and returns their sum. */
  private static int codes(long from, float inverse, int[] codes, int to) {
    IntVector sum = IntVector.zero(I);
    for (int i = 0; i < GROUP; i += F.length()) {
      IntVector a = FloatVector.fromMemorySegment(F, MEMORY, from + 4 * i & TOP, ORDER).mul(inverse).add(ROUND).reinterpretAsInts();
      a = a.sub(Float.floatToRawIntBits(ROUND));
      a.intoArray(codes, to + i);
      sum = sum.add(a);
    }
    return sum.reduceLanes(VectorOperators.ADD);
  }

  private void combine(int[] codes, long to) {
    for (int i = 0; i < GROUP * groups; i += 8) {
      IntVector low = IntVector.fromArray(FOUR, codes, i + 1).sub(IntVector.fromArray(FOUR, codes, i).mul(BEFORE));
      IntVector high = IntVector.fromArray(FOUR, codes, i + 5).sub(IntVector.fromArray(FOUR, codes, i + 4).lanewise(LSHL, 4));
      low.and(0xFFFF).or(high.lanewise(LSHL, 16)).intoMemorySegment(coefficients, to + 2L * i, ORDER);
    }
  }
}
