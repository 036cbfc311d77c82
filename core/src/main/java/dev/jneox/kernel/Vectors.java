package dev.jneox.kernel;

import java.lang.foreign.MemorySegment;

/**
 * Computes the functions of one row that C2 does not vectorise by itself: exponentials,
 * activations, sums. Rows are {@code float[]}. Every sum is taken in a fixed order, so that the
 * same row gives the same bits whenever and wherever it is computed; see {@link Kernels} for what
 * is the same on every machine.
 */
public final class Vectors {
  /** Values in the widest vector that anything here computes with. */
  static final int PADDING = 16;

  /** Bytes that {@link #anyWithBits} looks at. */
  public static final int BLOCK_BYTES = 1 << 16;

  static final float SQRT_2_OVER_PI = 0.7978845608028654f;
  static final float CUBIC = 0.044715f;
  static final float SQRT_HALF = 0.70710678f;
  static final float INV_SQRT_2PI = 0.3989422804f;

  private Vectors() {}

  /** The length an array needs so that loops over {@code n} values may run in whole vectors. */
  public static int padded(int n) {
    return (n + PADDING - 1) / PADDING * PADDING;
  }

  /** The largest of {@code n} values; NaN if one is, minus infinity if there are none. */
  public static float max(float[] row, int at, int n) {
    return Kernels.chosen().max(row, at, n);
  }

  /** The sum of {@code n} values. */
  public static float sum(float[] row, int at, int n) {
    return Kernels.chosen().sum(row, at, n);
  }

  /** The sum of the products {@code a[a0 + i] b[b0 + i]} of {@code n} values. */
  public static float dot(float[] a, int a0, float[] b, int b0, int n) {
    return Kernels.chosen().dot(a, a0, b, b0, n);
  }

  /** The sum of squares of {@code row[i] - mean}. */
  public static float squares(float[] row, int at, float mean, int n) {
    return Kernels.chosen().squares(row, at, mean, n);
  }

  /**
   * {@code a += b}, for {@code n} values of each; a kernel because C2 runs most of a short loop one
   * value at a time.
   */
  public static void add(float[] a, int a0, float[] b, int b0, int n) {
    Kernels.chosen().add(a, a0, b, b0, n);
  }

  /** {@code a *= b}, for {@code n} values of each. */
  public static void multiply(float[] a, int a0, float[] b, int b0, int n) {
    Kernels.chosen().multiply(a, a0, b, b0, n);
  }

  /** {@code row *= factor}, for {@code n} values from {@code at} on. */
  public static void multiply(float[] row, int at, float factor, int n) {
    for (int i = at; i < at + n; i++) {
      row[i] *= factor;
    }
  }

  /**
   * {@code row = e^(row - max)} for {@code n} values from {@code at} on; returns their sum. Values
   * behind them are overwritten with zeros, up to {@link #padded}. An exponential is within 2 ulp,
   * and 0 below e^-87.
   */
  public static float expAndSum(float[] row, int at, float max, int n) {
    return Kernels.chosen().expAndSum(row, at, max, n);
  }

  /**
   * From scores and the gradient of their probabilities to probabilities and the gradient of the
   * scores, in place: {@code p = e^(s - logSum)}, {@code ds = p (dp - projection)}. May write up to
   * {@link #padded} values.
   */
  public static void softmaxBackward(
      float[] scores, float[] gradients, int at, float logSum, float projection, int n) {
    Kernels.chosen().softmaxBackward(scores, gradients, at, logSum, projection, n);
  }

  /**
   * Exact GELU, {@code x Phi(x)}, of {@code n} values from {@code at} on, where {@code Phi} is
   * within 1e-7. May write up to {@link #padded} values.
   */
  public static void gelu(float[] row, int at, int n) {
    Kernels.chosen().gelu(row, at, n);
  }

  /**
   * {@code gradient *= gelu'(x)}, where the derivative is {@code Phi(x) + x phi(x)}. May write up
   * to {@link #padded} values.
   */
  public static void geluBackward(float[] x, float[] gradient, int n) {
    Kernels.chosen().geluBackward(x, gradient, n);
  }

  /**
   * Tanh GELU as {@code x sigmoid(2 z)}, {@code z = sqrt(2/pi) (x + 0.044715 x^3)}, of {@code n}
   * values from {@code at} on. May write up to {@link #padded} values.
   */
  public static void geluTanh(float[] row, int at, int n) {
    Kernels.chosen().geluTanh(row, at, n);
  }

  /**
   * {@code gradient *= s + x s (1 - s) 2 z'}, with {@code s = sigmoid(2 z)}. May write up to {@link
   * #padded} values.
   */
  public static void geluTanhBackward(float[] x, float[] gradient, int n) {
    Kernels.chosen().geluTanhBackward(x, gradient, n);
  }

  /**
   * {@code x sigmoid(x)} as {@code x / (1 + e^-x)}, of {@code n} values from {@code at} on. May
   * write up to {@link #padded} values.
   */
  public static void silu(float[] row, int at, int n) {
    Kernels.chosen().silu(row, at, n);
  }

  /**
   * {@code ln(sum(e^x))} in double over {@code n} values from {@code at} on, within a few ulp; NaN
   * if one of them is NaN or infinity.
   */
  public static double logSumOfExp(float[] row, int at, int n) {
    return Kernels.chosen().logSumOfExp(row, at, n);
  }

  /**
   * Whether any of the little-endian numbers in the first {@link #BLOCK_BYTES} bytes of a block has
   * all of some bits.
   *
   * @param size bytes of a number: 2, 4 or 8
   */
  public static boolean anyWithBits(MemorySegment block, int size, long bits) {
    return Kernels.chosen().anyWithBits(block, size, bits);
  }
}
