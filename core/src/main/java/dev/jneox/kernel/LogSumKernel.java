package dev.jneox.kernel;

import jdk.incubator.vector.DoubleVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.LongVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;

/** Computes {@link Vectors#logSumOfExp} on the Vector API. */
final class LogSumKernel {
  private static final VectorSpecies<Double> D = DoubleVector.SPECIES_PREFERRED;

  /** As many floats as {@link #D} has doubles. */
  private static final VectorSpecies<Float> F =
      VectorSpecies.of(float.class, VectorShape.forBitSize(D.vectorBitSize() / 2));

  private static final double LOG2_E = 1.4426950408889634;

  /** Adding it rounds to an integer, which is then in the low mantissa bits. */
  private static final double SHIFTER = 0x1.8p52;

  /** ln 2 in two parts: products of the first with small integers lose nothing that matters. */
  private static final double LN2_HIGH = 0x1.62e42fefa39efp-1;

  private static final double LN2_LOW = 0x1.abc9e3b39803fp-56;

  /** Below it {@code e^x} is taken as 0. */
  private static final double SMALLEST = -708;

  private LogSumKernel() {}

  /**
   * The logarithm of the sum.
   *
   * @param max the largest of the logits
   */
  static double logSumOfExp(float[] logits, int at, int n, float max) {
    int bound = D.loopBound(n);
    DoubleVector sums = DoubleVector.zero(D);
    for (int i = 0; i < bound; i += D.length()) {
      DoubleVector x =
          (DoubleVector)
              FloatVector.fromArray(F, logits, at + i).convertShape(VectorOperators.F2D, D, 0);
      sums = sums.add(exp(x.sub(max)));
    }
    double sum = 0;
    for (double lane : sums.toArray()) {
      sum += lane;
    }
    for (int i = bound; i < n; i++) {
      sum += Math.exp((double) logits[at + i] - max);
    }
    return max + Math.log(sum);
  }

  /** Returns {@code e^x} for x up to 0: {@code 2^n e^r} with r in {@code [-ln2/2, ln2/2]}. */
  private static DoubleVector exp(DoubleVector x) {
    DoubleVector clamped = x.max(SMALLEST);
    DoubleVector shifted =
        clamped.fma(DoubleVector.broadcast(D, LOG2_E), DoubleVector.broadcast(D, SHIFTER));
    DoubleVector n = shifted.sub(SHIFTER);
    DoubleVector r = n.fma(DoubleVector.broadcast(D, -LN2_HIGH), clamped);
    r = n.fma(DoubleVector.broadcast(D, -LN2_LOW), r);
    LongVector power = shifted.reinterpretAsLongs().lanewise(VectorOperators.LSHL, 52);
    DoubleVector result = expOfRemainder(r).reinterpretAsLongs().add(power).reinterpretAsDoubles();
    VectorMask<Double> tiny = x.compare(VectorOperators.LT, SMALLEST);
    return result.blend(0, tiny);
  }

  /**
   * Returns {@code e^r} by the Taylor polynomial of degree 13, which is exact to 4e-18. Apart from
   * {@link #exp} because C2 inlines no method of more than 325 bytes, and vectors that pass through
   * a call are allocated.
   */
  private static DoubleVector expOfRemainder(DoubleVector r) {
    DoubleVector p = DoubleVector.broadcast(D, 1.0 / 6227020800L);
    p = p.fma(r, DoubleVector.broadcast(D, 1.0 / 479001600));
    p = p.fma(r, DoubleVector.broadcast(D, 1.0 / 39916800));
    p = p.fma(r, DoubleVector.broadcast(D, 1.0 / 3628800));
    p = p.fma(r, DoubleVector.broadcast(D, 1.0 / 362880));
    p = p.fma(r, DoubleVector.broadcast(D, 1.0 / 40320));
    p = p.fma(r, DoubleVector.broadcast(D, 1.0 / 5040));
    p = p.fma(r, DoubleVector.broadcast(D, 1.0 / 720));
    p = p.fma(r, DoubleVector.broadcast(D, 1.0 / 120));
    p = p.fma(r, DoubleVector.broadcast(D, 1.0 / 24));
    p = p.fma(r, DoubleVector.broadcast(D, 1.0 / 6));
    p = p.fma(r, DoubleVector.broadcast(D, 0.5));
    return p.fma(r.mul(r), r).add(1);
  }
}
