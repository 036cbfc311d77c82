package dev.jneox.kernel;

import static dev.jneox.kernel.Lanes.F;
import static dev.jneox.kernel.Memory.MEMORY;
import static dev.jneox.kernel.Memory.TOP;
import static dev.jneox.kernel.StoredNumbers.INT;
import static dev.jneox.kernel.StoredNumbers.ORDER;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;

/** {@link Int8Rows} in the form {@link Q4Kernel} multiplies, each row on its own. */
final class Int8Coefficients extends Int8Rows {
  /** Ints of a group's coefficients. */
  static final int INTS = GROUP / 2;

  /**
   * What {@link Q4Kernel} leaves to multiply by: its scales of weights are too small by 2^112, its
   * sums too large by 2^16.
   */
  private static final float FACTOR = 0x1p96f;

  /** Adding it leaves an integer in the low bits of the mantissa, rounded to even. */
  private static final float ROUND = 0x1.8p23f;

  private static final ThreadLocal<int[]> CODES = ThreadLocal.withInitial(() -> new int[GROUP]);

  private final MemorySegment coefficients;
  private final MemorySegment starts;
  private final MemorySegment scales;

  Int8Coefficients(int rows, int groups) {
    super(groups);
    this.coefficients = Arena.ofAuto().allocate(4L * rows * INTS * stride, 64);
    this.starts = Arena.ofAuto().allocate(4L * rows * stride, 64);
    this.scales = Arena.ofAuto().allocate(4L * rows * stride, 64);
  }

  @Override
  void begin(int rows) {}

  @Override
  void set(int row, MemorySegment x, long at) {
    int[] codes = CODES.get();
    for (int g = 0; g < groups; g++) {
      long from = x.address() + at + 4L * GROUP * g;
      float max = largest(from);
      boolean zero = max < TINY;
      codes(from, zero ? 0 : 127 / max, codes);
      put(first(row) + g, codes, scale(max));
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
      IntVector a =
          FloatVector.fromMemorySegment(F, MEMORY, from + 4 * i & TOP, ORDER)
              .mul(inverse)
              .add(ROUND)
              .reinterpretAsInts();
      a.sub(Float.floatToRawIntBits(ROUND)).intoArray(codes, i);
    }
  }

  private void put(long g, int[] codes, float scale) {
    int sum = 0;
    for (int i = 0; i < GROUP; i += 8) {
      for (int j = 0; j < 4; j++) {
        int low = codes[i + j] - 16 * (j == 0 ? 0 : codes[i + j - 1]);
        int high = codes[i + j + 4] - 16 * codes[i + j + 3];
        MEMORY.set(INT, coefficients(g) + 2 * i + 4 * j, low & 0xFFFF | high << 16);
        sum += codes[i + j] + codes[i + j + 4];
      }
    }
    starts.setAtIndex(ValueLayout.JAVA_INT, g, -8 * sum & 0xFFFF);
    scales.setAtIndex(ValueLayout.JAVA_FLOAT, g, scale * FACTOR);
  }

  /** The first group of row {@code r}; its others follow. */
  long first(int r) {
    return (long) r * stride;
  }

  /**
   * For each eight codes a0 to a7 of the input the coefficients {@code k0 = a0, k1 = a1 - 16 a0,
   * ... k7 = a7 - 16 a6} as four ints, {@code k0 + 2^16 k4} to {@code k3 + 2^16 k7}: the address of
   * the {@value #INTS} ints of group {@code g}, of which {@link #first} gives a row's first.
   */
  long coefficients(long g) {
    return coefficients.address() + 4 * INTS * g;
  }

  /**
   * What a group's sums start with, minus eight times the sum of its codes, in the lower half of an
   * int: its address.
   */
  long starts(long g) {
    return starts.address() + 4 * g;
  }

  /**
   * The scale of a group, in fp32, times 2^96, which {@link Q4Kernel} leaves to multiply by: its
   * address.
   */
  long scales(long g) {
    return scales.address() + 4 * g;
  }
}
