package dev.jneox.kernel;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorShuffle;
import jdk.incubator.vector.VectorSpecies;

/** The vectors this CPU computes with, and what several kernels do with them. */
@SuppressWarnings("restricted") // calls native code, which the launcher allows
final class Lanes {
  static final VectorSpecies<Float> F = FloatVector.SPECIES_PREFERRED;
  static final VectorSpecies<Integer> I = IntVector.SPECIES_PREFERRED;

  /** As many shorts as {@link #F} has floats. */
  static final VectorSpecies<Short> HALF =
      VectorSpecies.of(short.class, VectorShape.forBitSize(F.vectorBitSize() / 2));

  /** Stored weights are little-endian, whatever the CPU. */
  static final ByteOrder ORDER = ByteOrder.LITTLE_ENDIAN;

  /**
   * All memory, by address. The checks of a segment with an end are worth as much as the products
   * of a kernel, and C2 rarely takes them out of a loop; of an address below {@link #TOP} it knows
   * at compile time that this one has it. So whoever hands addresses to a kernel checks them first,
   * a product at a time.
   */
  static final MemorySegment MEMORY = MemorySegment.NULL.reinterpret(Long.MAX_VALUE);

  /**
   * {@code address & TOP} is the address, and C2 then knows that it is no negative number and far
   * from the largest.
   */
  static final long TOP = (1L << 62) - 1;

  /** An int of {@link #MEMORY}. */
  static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ORDER);

  // Rotations by so many lanes; used only where a vector is longer than that.
  private static final VectorShuffle<Float> BY_8 = VectorShuffle.iota(F, 8, 1, true);
  private static final VectorShuffle<Float> BY_4 = VectorShuffle.iota(F, 4, 1, true);
  private static final VectorShuffle<Float> BY_2 = VectorShuffle.iota(F, 2, 1, true);

  private static final ThreadLocal<float[]> SCRATCH =
      ThreadLocal.withInitial(() -> new float[4 * F.length()]);

  private Lanes() {}

  /** Kernels read weights by address, which those on the Java heap do not have. */
  static void checkNative(MemorySegment data) {
    if (!data.isNative()) {
      throw new IllegalArgumentException(
          "a weight in native memory is expected, given one on the Java heap");
    }
  }

  /** A thread's own room for four vectors. */
  static float[] scratch() {
    return SCRATCH.get();
  }

  /**
   * The sum of a vector in memory, whose values it overwrites: the same to the last bit as that of
   * the vector.
   */
  static float total(float[] values, int at) {
    for (int half = F.length() / 2; half > 0; half /= 2) {
      for (int i = at; i < at + half; i++) {
        values[i] += values[i + half];
      }
    }
    return values[at];
  }

  /**
   * The sum of all lanes, in halves: {@code reduceLanes} adds in another order once it is compiled.
   */
  static float total(FloatVector v) {
    if (F.length() >= 16) {
      v = v.add(v.rearrange(BY_8));
    }
    if (F.length() >= 8) {
      v = v.add(v.rearrange(BY_4));
    }
    v = v.add(v.rearrange(BY_2));
    return v.lane(0) + v.lane(1);
  }
}
