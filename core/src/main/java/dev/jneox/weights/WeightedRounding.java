package dev.jneox.weights;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/**
 * Rounds rows to Q4_0 so that the error which counts is small: for each block of 32 values x with
 * weights w it looks for a scale d and integers q from -8 to 7 with a small {@code sum w (x - d
 * q)^2}. The weights are
 *
 * <pre>
 *   w[i] = (I[i] + mean(I) / 100) * sqrt(mean(x^2) + x[i]^2)
 * </pre>
 *
 * where I is the {@link Importance} of the column and the means are over the row. The first factor
 * is the mean square of what the value is multiplied by; its small addend keeps columns that a
 * short text left quiet from being given up. The second favours large values, as llama.cpp does for
 * its importance matrices: activations are correlated, and their errors add up the more.
 *
 * <p>For given q the best scale is {@code d = sum w x q / sum w q^2}. So each of a number of
 * inverse scales, around those that take the largest magnitude to -8 or to 7, gives q by rounding
 * and then a d; the best pair is rounded on from its d as long as that helps.
 */
final class WeightedRounding {
  private static final int VALUES = 32;
  private static final ValueLayout.OfShort FP16 =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  /** Magnitudes that the largest value is taken to, on either side of zero. */
  private static final float FIRST = 5.8f;

  private static final float LAST = 9.0f;
  private static final float STEP = 0.1f;

  /** Times that rounding from the best scale is repeated; mostly two are enough. */
  private static final int ROUNDS = 8;

  private final float[] smoothed;
  private final double[] weights;
  private final float[] x = new float[VALUES];
  private final double[] w = new double[VALUES];

  /**
   * @param importance of each column
   */
  WeightedRounding(float[] importance) {
    double sum = 0;
    for (float value : importance) {
      sum += value;
    }
    smoothed = new float[importance.length];
    for (int i = 0; i < smoothed.length; i++) {
      // A text that says nothing, such as one of zeros alone, weighs all columns alike.
      smoothed[i] = sum > 0 ? (float) (importance[i] + 0.01 * sum / importance.length) : 1;
    }
    weights = new double[importance.length];
  }

  /**
   * Quantises a row of finite values.
   *
   * @param row padded with zeros to whole blocks
   * @param out its blocks
   */
  void row(float[] row, MemorySegment out) {
    double squares = 0;
    for (int i = 0; i < smoothed.length; i++) {
      squares += (double) row[i] * row[i];
    }
    double mean = squares / smoothed.length;
    for (int i = 0; i < smoothed.length; i++) {
      weights[i] = smoothed[i] * Math.sqrt(mean + (double) row[i] * row[i]);
    }
    for (int at = 0, block = 0; at < smoothed.length; at += VALUES, block++) {
      for (int i = 0; i < VALUES; i++) {
        boolean inside = at + i < smoothed.length;
        x[i] = inside ? row[at + i] : 0;
        w[i] = inside ? weights[at + i] : 0;
      }
      block(out, (long) block * GgmlType.Q4_0.blockBytes());
    }
  }

  private void block(MemorySegment out, long to) {
    float largest = 0;
    for (float value : x) {
      largest = Math.max(largest, Math.abs(value));
    }
    double best = -1;
    double scale = 0;
    for (float target = FIRST; largest > 0 && target < LAST; target += STEP) {
      for (int sign = -1; sign <= 1; sign += 2) {
        Fit fit = fit(sign * target / largest);
        if (fit.gain > best) {
          best = fit.gain;
          scale = fit.scale;
        }
      }
    }
    for (int round = 0; round < ROUNDS && scale != 0; round++) {
      Fit fit = fit(1 / scale);
      if (fit.gain <= best) {
        break;
      }
      best = fit.gain;
      scale = fit.scale;
    }
    short stored = Float.floatToFloat16((float) scale);
    float read = Float.float16ToFloat(stored);
    double inverse = read == 0 ? 0 : 1.0 / read;
    out.set(FP16, to, read == 0 ? 0 : stored); // no -0
    for (int i = 0; i < VALUES / 2; i++) {
      int low = code(x[i], inverse) + 8;
      int high = code(x[i + VALUES / 2], inverse) + 8;
      out.set(ValueLayout.JAVA_BYTE, to + 2 + i, (byte) (low | high << 4));
    }
  }

  /**
   * Holds the best scale for the integers that an inverse scale gives.
   *
   * @param gain by how much the error is below that of zeros, {@code (sum w x q)^2 / sum w q^2}
   */
  private record Fit(double scale, double gain) {}

  private Fit fit(double inverse) {
    double xq = 0;
    double qq = 0;
    for (int i = 0; i < VALUES; i++) {
      int q = code(x[i], inverse);
      xq += w[i] * x[i] * q;
      qq += w[i] * q * q;
    }
    return qq > 0 ? new Fit(xq / qq, xq * xq / qq) : new Fit(0, 0);
  }

  private static int code(float value, double inverse) {
    return Math.clamp(Math.round(value * inverse), -8, 7);
  }
}
