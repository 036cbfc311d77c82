package dev.jneox.quant;

import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorShuffle;
import jdk.incubator.vector.VectorSpecies;

/** The vectors this CPU computes with, and what several kernels do with them. */
final class Lanes {
  static final VectorSpecies<Float> F = FloatVector.SPECIES_PREFERRED;
  static final VectorSpecies<Integer> I = IntVector.SPECIES_PREFERRED;

  /** As many shorts as {@link #F} has floats. */
  static final VectorSpecies<Short> HALF = VectorSpecies.of(short.class, VectorShape.forBitSize(F.vectorBitSize() / 2));

  /** Stored weights are little-endian, whatever the CPU. */
  static final ByteOrder ORDER = ByteOrder.LITTLE_ENDIAN;

  // Rotations by so many lanes; used only where a vector is longer than that.
  private static final VectorShuffle<Float> BY_8 = VectorShuffle.iota(F, 8, 1, true);
  private static final VectorShuffle<Float> BY_4 = VectorShuffle.iota(F, 4, 1, true);
  private static final VectorShuffle<Float> BY_2 = VectorShuffle.iota(F, 2, 1, true);

  private static final ThreadLocal<float[]> SCRATCH = ThreadLocal.withInitial(() -> new float[4 * F.length()]);

  private Lanes() {}

  /** A thread's own room for four vectors. */
  static float[] scratch() {
    return SCRATCH.get();
  }

  /** The sum of a vector in memory, whose values it overwrites: the same to the last bit as that of the vector. */
  static float total(float[] values, int at) {
    for (int half = F.length() / 2; half > 0; half /= 2) {
      for (int i = at; i < at + half; i++) {
        values[i] += values[i + half];
      }
    }
    return values[at];
  }

  /** The sum of all lanes, in halves: {@code reduceLanes} adds in another order once it is compiled. */
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
