package dev.jneox.kernel;

import java.util.Objects;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShuffle;
import jdk.incubator.vector.VectorSpecies;

/**
 * Computes the functions of one row that C2 does not vectorise by itself: exponentials,
 * activations, sums. Rows are {@code float[]}. Every sum is taken in a fixed order, so that the
 * same row gives the same bits whenever and wherever it is computed.
 */
public final class Vectors {
  public static final VectorSpecies<Float> F = FloatVector.SPECIES_PREFERRED;

  // Rotations by so many lanes; used only where a vector is longer than that.
  private static final VectorShuffle<Float> BY_8 = VectorShuffle.iota(F, 8, 1, true);
  private static final VectorShuffle<Float> BY_4 = VectorShuffle.iota(F, 4, 1, true);
  private static final VectorShuffle<Float> BY_2 = VectorShuffle.iota(F, 2, 1, true);

  static final float SQRT_2_OVER_PI = 0.7978845608028654f;
  static final float CUBIC = 0.044715f;
  static final float SQRT_HALF = 0.70710678f;
  private static final float INV_SQRT_2PI = 0.3989422804f;

  /** Not where vectors are limited to fewer lanes: rows are padded to those, it writes eight. */
  private static final boolean MACHINE_CODE = MachineCode.PRESENT && F.length() >= 8;

  private Vectors() {}

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

  public static float max(float[] row, int at, int n) {
    FloatVector m = FloatVector.broadcast(F, Float.NEGATIVE_INFINITY);
    int i = 0;
    for (int bound = F.loopBound(n); i < bound; i += F.length()) {
      m = m.max(FloatVector.fromArray(F, row, at + i));
    }
    float max = m.reduceLanes(VectorOperators.MAX);
    for (; i < n; i++) {
      max = Math.max(max, row[at + i]);
    }
    return max;
  }

  public static float sum(float[] row, int at, int n) {
    FloatVector s = FloatVector.zero(F);
    int i = 0;
    for (int bound = F.loopBound(n); i < bound; i += F.length()) {
      s = s.add(FloatVector.fromArray(F, row, at + i));
    }
    float sum = total(s);
    for (; i < n; i++) {
      sum += row[at + i];
    }
    return sum;
  }

  public static float dot(float[] a, int a0, float[] b, int b0, int n) {
    FloatVector s = FloatVector.zero(F);
    int i = 0;
    for (int bound = F.loopBound(n); i < bound; i += F.length()) {
      s = FloatVector.fromArray(F, a, a0 + i).fma(FloatVector.fromArray(F, b, b0 + i), s);
    }
    float sum = total(s);
    for (; i < n; i++) {
      sum += a[a0 + i] * b[b0 + i];
    }
    return sum;
  }

  /** The sum of squares of {@code row[i] - mean}. */
  public static float squares(float[] row, int at, float mean, int n) {
    FloatVector s = FloatVector.zero(F);
    int i = 0;
    for (int bound = F.loopBound(n); i < bound; i += F.length()) {
      FloatVector d = FloatVector.fromArray(F, row, at + i).sub(mean);
      s = d.fma(d, s);
    }
    float sum = total(s);
    for (; i < n; i++) {
      sum += (row[at + i] - mean) * (row[at + i] - mean);
    }
    return sum;
  }

  /**
   * {@code a += b}, for {@code n} values of each; written out because C2 runs most of a short loop
   * one value at a time.
   */
  public static void add(float[] a, int a0, float[] b, int b0, int n) {
    int i = 0;
    for (int bound = F.loopBound(n); i < bound; i += F.length()) {
      FloatVector.fromArray(F, a, a0 + i)
          .add(FloatVector.fromArray(F, b, b0 + i))
          .intoArray(a, a0 + i);
    }
    for (; i < n; i++) {
      a[a0 + i] += b[b0 + i];
    }
  }

  /** {@code a *= b}, for {@code n} values of each. */
  public static void multiply(float[] a, int a0, float[] b, int b0, int n) {
    int i = 0;
    for (int bound = F.loopBound(n); i < bound; i += F.length()) {
      FloatVector.fromArray(F, a, a0 + i)
          .mul(FloatVector.fromArray(F, b, b0 + i))
          .intoArray(a, a0 + i);
    }
    for (; i < n; i++) {
      a[a0 + i] *= b[b0 + i];
    }
  }

  public static void multiply(float[] row, int at, float factor, int n) {
    for (int i = at; i < at + n; i++) {
      row[i] *= factor;
    }
  }

  /**
   * {@code row = e^(row - max)} for {@code n} values from {@code at} on; returns their sum. Values
   * up to a whole vector behind them are overwritten with zeros, see {@link #padded}.
   */
  public static float expAndSum(float[] row, int at, float max, int n) {
    for (int i = n; i < padded(n); i++) {
      row[at + i] = Float.NEGATIVE_INFINITY;
    }
    FloatVector s = FloatVector.zero(F);
    for (int i = at; i < at + n; i += F.length()) {
      FloatVector e = exp(FloatVector.fromArray(F, row, i).sub(max));
      e.intoArray(row, i);
      s = s.add(e);
    }
    return total(s);
  }

  /**
   * The sum of {@code e^(row - max)} over {@code n} values from {@code at} on, which stay as they
   * are.
   */
  public static float sumOfExp(float[] row, int at, float max, int n) {
    FloatVector s = FloatVector.zero(F);
    int i = 0;
    for (int bound = F.loopBound(n); i < bound; i += F.length()) {
      s = s.add(exp(FloatVector.fromArray(F, row, at + i).sub(max)));
    }
    float sum = total(s);
    for (; i < n; i++) {
      sum += (float) Math.exp(row[at + i] - max);
    }
    return sum;
  }

  /**
   * From scores and the gradient of their probabilities to probabilities and the gradient of the
   * scores, in place: {@code p = e^(s - logSum)}, {@code ds = p (dp - projection)}. Writes up to a
   * whole vector.
   */
  public static void softmaxBackward(
      float[] scores, float[] gradients, int at, float logSum, float projection, int n) {
    for (int i = at; i < at + n; i += F.length()) {
      FloatVector p = exp(FloatVector.fromArray(F, scores, i).sub(logSum));
      p.intoArray(scores, i);
      p.mul(FloatVector.fromArray(F, gradients, i).sub(projection)).intoArray(gradients, i);
    }
  }

  /** The length an array needs so that loops over {@code n} values may run in whole vectors. */
  public static int padded(int n) {
    return (n + F.length() - 1) / F.length() * F.length();
  }

  /**
   * Exact GELU, {@code x Phi(x)}, by {@link #normalCdf}, of {@code n} values from {@code at} on.
   * Writes up to a whole vector.
   */
  public static void gelu(float[] row, int at, int n) {
    if (MACHINE_CODE && n > 0) {
      Objects.checkFromIndexSize(at, padded(n), row.length);
      ActivationCode.gelu(row, at, n);
    } else {
      geluInJava(row, at, n);
    }
  }

  static void geluInJava(float[] row, int at, int n) {
    for (int i = at; i < at + n; i += F.length()) {
      FloatVector x = FloatVector.fromArray(F, row, i);
      x.mul(normalCdf(x, gaussian(x))).intoArray(row, i);
    }
  }

  /** {@code grad *= gelu'(x)}, where the derivative is {@code Phi(x) + x phi(x)}. */
  public static void geluBackward(float[] x, float[] grad, int n) {
    for (int i = 0; i < n; i += F.length()) {
      FloatVector v = FloatVector.fromArray(F, x, i);
      FloatVector e = gaussian(v);
      FloatVector slope = v.mul(e).fma(FloatVector.broadcast(F, INV_SQRT_2PI), normalCdf(v, e));
      FloatVector.fromArray(F, grad, i).mul(slope).intoArray(grad, i);
    }
  }

  /** Tanh GELU as {@code x sigmoid(2 z)}, {@code z = sqrt(2/pi) (x + 0.044715 x^3)}. */
  public static void geluTanh(float[] row, int at, int n) {
    if (MACHINE_CODE && n > 0) {
      Objects.checkFromIndexSize(at, padded(n), row.length);
      ActivationCode.geluTanh(row, at, n);
    } else {
      geluTanhInJava(row, at, n);
    }
  }

  static void geluTanhInJava(float[] row, int at, int n) {
    for (int i = at; i < at + n; i += F.length()) {
      FloatVector x = FloatVector.fromArray(F, row, i);
      x.mul(gate(x, x.mul(x))).intoArray(row, i);
    }
  }

  /** {@code grad *= s + x s (1 - s) 2 z'}, with {@code s = sigmoid(2 z)}. */
  public static void geluTanhBackward(float[] x, float[] grad, int n) {
    for (int i = 0; i < n; i += F.length()) {
      FloatVector v = FloatVector.fromArray(F, x, i);
      FloatVector square = v.mul(v);
      FloatVector s = gate(v, square);
      FloatVector twiceSlope = square.mul(6 * SQRT_2_OVER_PI * CUBIC).add(2 * SQRT_2_OVER_PI);
      FloatVector slope = v.mul(s).mul(s.neg().add(1f)).fma(twiceSlope, s);
      FloatVector.fromArray(F, grad, i).mul(slope).intoArray(grad, i);
    }
  }

  /**
   * {@code x sigmoid(x)} as {@code x / (1 + e^-x)}, of {@code n} values from {@code at} on. Writes
   * up to a whole vector.
   */
  public static void silu(float[] row, int at, int n) {
    if (MACHINE_CODE && n > 0) {
      Objects.checkFromIndexSize(at, padded(n), row.length);
      ActivationCode.silu(row, at, n);
    } else {
      siluInJava(row, at, n);
    }
  }

  static void siluInJava(float[] row, int at, int n) {
    for (int i = at; i < at + n; i += F.length()) {
      FloatVector x = FloatVector.fromArray(F, row, i);
      x.div(exp(x.neg()).add(1f)).intoArray(row, i);
    }
  }

  private static FloatVector gate(FloatVector x, FloatVector square) {
    FloatVector minusTwoZ = x.mul(square.mul(-2 * SQRT_2_OVER_PI * CUBIC).add(-2 * SQRT_2_OVER_PI));
    return FloatVector.broadcast(F, 1f).div(exp(minusTwoZ).add(1f));
  }

  /** {@code e^(-x^2/2)}. */
  private static FloatVector gaussian(FloatVector x) {
    return exp(x.mul(x).mul(-0.5f));
  }

  /**
   * {@code Phi(x)} within 1e-7, from the rational form 7.1.26 of Abramowitz and Stegun; {@code e}
   * is {@link #gaussian}.
   */
  private static FloatVector normalCdf(FloatVector x, FloatVector e) {
    FloatVector t = FloatVector.broadcast(F, 1f).div(x.abs().mul(0.3275911f * SQRT_HALF).add(1f));
    FloatVector p = FloatVector.broadcast(F, 1.061405429f);
    p = p.fma(t, FloatVector.broadcast(F, -1.453152027f));
    p = p.fma(t, FloatVector.broadcast(F, 1.421413741f));
    p = p.fma(t, FloatVector.broadcast(F, -0.284496736f));
    p = p.fma(t, FloatVector.broadcast(F, 0.254829592f));
    FloatVector tail = p.mul(t).mul(e).mul(0.5f);
    return tail.blend(tail.neg().add(1f), x.compare(VectorOperators.GT, 0f));
  }
}
