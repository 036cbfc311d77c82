package dev.jneox.kernel;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorShuffle;
import jdk.incubator.vector.VectorSpecies;

/**
 * Holds the vectors this CPU computes with, and what several kernels do with one. Needs the module
 * {@code jdk.incubator.vector}, as every class here that imports it does.
 */
public final class Lanes {
  /** The widest vectors, of at most as many values as {@link Vectors#padded} rounds up to. */
  public static final VectorSpecies<Float> F =
      FloatVector.SPECIES_PREFERRED.length() > Vectors.PADDING
          ? FloatVector.SPECIES_512
          : FloatVector.SPECIES_PREFERRED;

  /** As many ints as {@link #F} has floats. */
  static final VectorSpecies<Integer> I = VectorSpecies.of(int.class, F.vectorShape());

  /** As many shorts as {@link #F} has floats. */
  static final VectorSpecies<Short> HALF =
      VectorSpecies.of(short.class, VectorShape.forBitSize(F.vectorBitSize() / 2));

  // Rotations by so many lanes; used only where a vector is longer than that.
  private static final VectorShuffle<Float> BY_8 = VectorShuffle.iota(F, 8, 1, true);
  private static final VectorShuffle<Float> BY_4 = VectorShuffle.iota(F, 4, 1, true);
  private static final VectorShuffle<Float> BY_2 = VectorShuffle.iota(F, 2, 1, true);

  private static final ThreadLocal<float[]> SCRATCH =
      ThreadLocal.withInitial(() -> new float[4 * F.length()]);

  private Lanes() {}

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
   * The sum of all lanes, in halves. {@code reduceLanes} adds in another order once it is compiled,
   * and a run would depend on when that happens.
   */
  public static float total(FloatVector v) {
    if (F.length() >= 16) {
      v = v.add(v.rearrange(BY_8));
    }
    if (F.length() >= 8) {
      v = v.add(v.rearrange(BY_4));
    }
    v = v.add(v.rearrange(BY_2));
    return v.lane(0) + v.lane(1);
  }

  /**
   * {@code e^x} within 2 ulp; 0 below -87, e^88 above 88: {@code 2^n} times a polynomial on {@code
   * [-ln2/2, ln2/2]}.
   */
  public static FloatVector exp(FloatVector x) {
    FloatVector clamped = x.max(-87f).min(88f);
    // Adding 1.5 * 2^23 rounds to an integer, which is then in the low mantissa bits.
    FloatVector shifted =
        clamped.fma(FloatVector.broadcast(F, 1.44269504f), FloatVector.broadcast(F, 12582912f));
    FloatVector n = shifted.sub(12582912f);
    FloatVector r = n.fma(FloatVector.broadcast(F, -0.693359375f), clamped);
    r = n.fma(FloatVector.broadcast(F, 2.12194440e-4f), r);
    FloatVector p = FloatVector.broadcast(F, 1.9875691500e-4f);
    p = p.fma(r, FloatVector.broadcast(F, 1.3981999507e-3f));
    p = p.fma(r, FloatVector.broadcast(F, 8.3334519073e-3f));
    p = p.fma(r, FloatVector.broadcast(F, 4.1665795894e-2f));
    p = p.fma(r, FloatVector.broadcast(F, 1.6666665459e-1f));
    p = p.fma(r, FloatVector.broadcast(F, 5.0000001201e-1f));
    p = p.fma(r.mul(r), r).add(1f);
    IntVector power = shifted.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23);
    FloatVector result = p.reinterpretAsInts().add(power).reinterpretAsFloats();
    VectorMask<Float> tiny = x.compare(VectorOperators.LT, -87f);
    return result.blend(0f, tiny);
  }
}
