package dev.jneox.weights;

/** Rounds to the types of weights by arithmetic on doubles alone; what conversions must give. */
public final class Rounded {
  private Rounded() {}

  /** The nearest value of a type, of two the even one; NaN stays NaN. */
  public static float to(Dtype dtype, float x) {
    if (dtype == Dtype.F32 || dtype == Dtype.F64 || !Float.isFinite(x)) {
      return x;
    }
    // Math.rint takes the even one of two that are equally near.
    double rounded = Math.rint(x / step(dtype, x)) * step(dtype, x);
    double largest = dtype == Dtype.BF16 ? 0x1.FEp127 : 65504;
    return Math.abs(rounded) > largest ? Math.signum(x) * Float.POSITIVE_INFINITY : (float) rounded;
  }

  public static float[] to(Dtype dtype, float[] values) {
    float[] rounded = new float[values.length];
    for (int i = 0; i < values.length; i++) {
      rounded[i] = to(dtype, values[i]);
    }
    return rounded;
  }

  /** The distance of the two values of BF16 or F16 that {@code x} lies between. */
  static double step(Dtype dtype, float x) {
    int exponent = Math.getExponent(x);
    return dtype == Dtype.BF16
        ? Math.scalb(1.0, Math.max(exponent, -126) - 7)
        : Math.scalb(1.0, Math.max(exponent, -14) - 10);
  }
}
