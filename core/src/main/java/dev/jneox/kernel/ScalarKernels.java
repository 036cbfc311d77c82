package dev.jneox.kernel;

import static dev.jneox.kernel.KvProducts.POSITIONS;
import static dev.jneox.kernel.KvProducts.QUERIES;
import static dev.jneox.kernel.PackedWeight.BLOCK;
import static dev.jneox.kernel.StoredNumbers.FLOAT;
import static dev.jneox.kernel.StoredNumbers.INT;
import static dev.jneox.kernel.StoredNumbers.LONG;
import static dev.jneox.kernel.StoredNumbers.SHORT;
import static dev.jneox.kernel.Vectors.CUBIC;
import static dev.jneox.kernel.Vectors.INV_SQRT_2PI;
import static dev.jneox.kernel.Vectors.SQRT_2_OVER_PI;
import static dev.jneox.kernel.Vectors.SQRT_HALF;

import dev.jneox.kernel.DenseWeight.Type;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/**
 * Computes in plain loops over Java's numbers: runs everywhere, with no module, and is what the
 * other kernels are tested against.
 *
 * <p>The innermost loops are over output rows, positions or dimensions side by side, which C2 can
 * vectorise by itself. Memory is read through its segment: no native access is needed.
 */
final class ScalarKernels extends Kernels {
  /** Partial sums of {@link DenseWeight}, those of its machine code. */
  private static final int SUMS = 16;

  private static final int HIGH = 0xFFFF0000;

  @Override
  String name() {
    return "scalar";
  }

  @Override
  public String toString() {
    return "scalar Java";
  }

  @Override
  Int8Rows int8(int rows, int groups) {
    return new Int8Codes(rows, groups);
  }

  /** An integer sum for each group, and one fma for it. */
  @Override
  void multiply(
      Q4Weight weight, InputRows x, float[] y, int at, int ldy, int fromBlock, int toBlock) {
    Int8Codes rows = (Int8Codes) x.int8();
    int[] codes = new int[Q4Weight.CODE_BYTES / Integer.BYTES];
    float[] sums = new float[BLOCK];
    float[] scales = new float[BLOCK];
    for (int b = fromBlock; b < toBlock; b++) {
      int width = Math.min(BLOCK, weight.out() - b * BLOCK);
      for (int g = 0; g < rows.groups; g++) {
        long from = b * Q4Weight.blockBytes(weight.in()) + (long) g * Q4Weight.GROUP_BYTES;
        MemorySegment.copy(weight.data(), INT, from, codes, 0, codes.length);
        for (int o = 0; o < BLOCK; o++) {
          long place = from + Q4Weight.CODE_BYTES + 2L * Q4Weight.place(o);
          scales[o] = Float.float16ToFloat(weight.data().get(SHORT, place));
        }
        for (int r = 0; r < x.rows(); r++) {
          q4Sums(codes, rows.codes[r], g * Q4Weight.GROUP, sums);
          int to = at + r * ldy + b * BLOCK;
          float scale = rows.scales[r][g];
          for (int o = 0; o < width; o++) {
            y[to + o] = Math.fma(sums[o], scales[o] * scale, y[to + o]);
          }
        }
      }
    }
  }

  /**
   * The sums of {@code (n - 8) a} over a group, with codes n of each row and a of activations. They
   * are integers far below 2^24, exact in fp32; C2 does not vectorise a loop that reads ints and
   * writes others.
   */
  private static void q4Sums(int[] codes, byte[] a, int first, float[] sums) {
    int total = 0;
    for (int i = 0; i < Q4Weight.GROUP; i++) {
      total += a[first + i];
    }
    Arrays.fill(sums, -8 * total);
    for (int oct = 0; oct < Q4Weight.GROUP / 8; oct++) {
      for (int i = 0; i < 8; i++) {
        float factor = a[first + 8 * oct + i];
        int shift = 4 * i;
        for (int o = 0; o < BLOCK; o++) {
          sums[o] += (codes[oct * BLOCK + o] >>> shift & 15) * factor;
        }
      }
    }
  }

  /**
   * The sum of a group is that of its even inputs plus that of its odd ones, an fma for each input
   * in order; then one fma with the scale.
   */
  @Override
  void multiply(
      Q8Weight weight, InputRows x, float[] y, int at, int ldy, int fromBlock, int toBlock) {
    int tile = Q8Weight.TILE;
    int groups = Q8Weight.groups(weight.in());
    int[] codes = new int[Q8Weight.CODE_BYTES / Integer.BYTES];
    float[] scales = new float[tile];
    float[] a = new float[Q8Weight.GROUP];
    float[] even = new float[tile];
    float[] odd = new float[tile];
    int end = Math.min(weight.out(), toBlock * BLOCK);
    for (int first = fromBlock * BLOCK; first < end; first += tile) {
      int width = Math.min(tile, end - first);
      for (int g = 0; g < groups; g++) {
        long from =
            first / tile * Q8Weight.tileBytes(weight.in()) + (long) g * Q8Weight.GROUP_BYTES;
        MemorySegment.copy(weight.data(), INT, from, codes, 0, codes.length);
        for (int o = 0; o < tile; o++) {
          long place = from + Q8Weight.CODE_BYTES + 2L * Q8Weight.place(o);
          scales[o] = Float.float16ToFloat(weight.data().get(SHORT, place));
        }
        for (int r = 0; r < x.rows(); r++) {
          x.read(r, g * Q8Weight.GROUP, Q8Weight.GROUP, a);
          Arrays.fill(even, 0);
          Arrays.fill(odd, 0);
          for (int i = 0; i < Q8Weight.GROUP; i++) {
            q8Input(codes, i / 4 * tile, i % 4, a[i], i % 2 == 0 ? even : odd);
          }
          int to = at + r * ldy + first;
          for (int o = 0; o < width; o++) {
            y[to + o] = Math.fma(even[o] + odd[o], scales[o], y[to + o]);
          }
        }
      }
    }
  }

  /** Adds the products of an input of a group; its codes are byte {@code n} of some ints. */
  private static void q8Input(int[] codes, int from, int n, float factor, float[] sums) {
    int left = 24 - 8 * n;
    for (int o = 0; o < sums.length; o++) {
      sums[o] = Math.fma((float) (codes[from + o] << left >> 24), factor, sums[o]);
    }
  }

  /** Sixteen partial sums for a row, added in halves, and the inputs that are left in order. */
  @Override
  void multiply(
      DenseWeight weight, InputRows x, float[] y, int at, int ldy, int fromBlock, int toBlock) {
    int in = weight.in();
    float[] w = new float[in];
    float[] a = new float[in];
    short[] halves = new short[weight.type() == Type.BF16 ? in : 0];
    float[] sums = new float[SUMS];
    int end = Math.min(weight.out(), toBlock * BLOCK);
    for (int o = fromBlock * BLOCK; o < end; o++) {
      long from = (long) weight.type().bytes() * in * o;
      if (weight.type() == Type.F32) {
        MemorySegment.copy(weight.data(), FLOAT, from, w, 0, in);
      } else {
        MemorySegment.copy(weight.data(), SHORT, from, halves, 0, in);
        for (int i = 0; i < in; i++) {
          w[i] = Float.intBitsToFloat(halves[i] << 16);
        }
      }
      for (int r = 0; r < x.rows(); r++) {
        x.read(r, 0, in, a);
        y[at + r * ldy + o] += dense(w, a, in, sums);
      }
    }
  }

  private static float dense(float[] w, float[] x, int n, float[] sums) {
    Arrays.fill(sums, 0);
    int whole = n - n % SUMS;
    for (int i = 0; i < whole; i += SUMS) {
      for (int s = 0; s < SUMS; s++) {
        sums[s] = Math.fma(w[i + s], x[i + s], sums[s]);
      }
    }
    for (int half = SUMS / 2; half > 0; half /= 2) {
      for (int s = 0; s < half; s++) {
        sums[s] += sums[s + half];
      }
    }
    float rest = 0;
    for (int i = whole; i < n; i++) {
      rest = Math.fma(x[i], w[i], rest);
    }
    return sums[0] + rest;
  }

  @Override
  void add(float[] a, int a0, float[] b, int b0, int n) {
    for (int i = 0; i < n; i++) {
      a[a0 + i] += b[b0 + i];
    }
  }

  @Override
  void multiply(float[] a, int a0, float[] b, int b0, int n) {
    for (int i = 0; i < n; i++) {
      a[a0 + i] *= b[b0 + i];
    }
  }

  @Override
  float max(float[] row, int at, int n) {
    float max = Float.NEGATIVE_INFINITY;
    for (int i = at; i < at + n; i++) {
      max = Math.max(max, row[i]);
    }
    return max;
  }

  // Sums are taken in double, closer to the true ones than those of fp32 in any order.

  @Override
  float sum(float[] row, int at, int n) {
    double sum = 0;
    for (int i = at; i < at + n; i++) {
      sum += row[i];
    }
    return (float) sum;
  }

  @Override
  float dot(float[] a, int a0, float[] b, int b0, int n) {
    double sum = 0;
    for (int i = 0; i < n; i++) {
      sum += (double) a[a0 + i] * b[b0 + i];
    }
    return (float) sum;
  }

  @Override
  float squares(float[] row, int at, float mean, int n) {
    double sum = 0;
    for (int i = at; i < at + n; i++) {
      double d = row[i] - mean;
      sum += d * d;
    }
    return (float) sum;
  }

  @Override
  float expAndSum(float[] row, int at, float max, int n) {
    double sum = 0;
    for (int i = at; i < at + n; i++) {
      row[i] = exp(row[i] - max);
      sum += row[i];
    }
    Arrays.fill(row, at + n, at + Vectors.padded(n), 0);
    return (float) sum;
  }

  @Override
  void softmaxBackward(
      float[] scores, float[] gradients, int at, float logSum, float projection, int n) {
    for (int i = at; i < at + n; i++) {
      scores[i] = exp(scores[i] - logSum);
      gradients[i] = scores[i] * (gradients[i] - projection);
    }
  }

  @Override
  void gelu(float[] row, int at, int n) {
    for (int i = at; i < at + n; i++) {
      row[i] *= normalCdf(row[i], gaussian(row[i]));
    }
  }

  @Override
  void geluBackward(float[] x, float[] gradient, int n) {
    for (int i = 0; i < n; i++) {
      float e = gaussian(x[i]);
      gradient[i] *= Math.fma(x[i] * e, INV_SQRT_2PI, normalCdf(x[i], e));
    }
  }

  @Override
  void geluTanh(float[] row, int at, int n) {
    for (int i = at; i < at + n; i++) {
      row[i] *= gate(row[i]);
    }
  }

  @Override
  void geluTanhBackward(float[] x, float[] gradient, int n) {
    for (int i = 0; i < n; i++) {
      float v = x[i];
      float s = gate(v);
      float twiceSlope = v * v * (6 * SQRT_2_OVER_PI * CUBIC) + 2 * SQRT_2_OVER_PI;
      gradient[i] *= Math.fma(v * s * (-s + 1), twiceSlope, s);
    }
  }

  @Override
  void silu(float[] row, int at, int n) {
    for (int i = at; i < at + n; i++) {
      row[i] /= exp(-row[i]) + 1;
    }
  }

  /** {@code sigmoid(2 z)} of the tanh GELU. */
  private static float gate(float x) {
    float minusTwoZ = x * (x * x * (-2 * SQRT_2_OVER_PI * CUBIC) + -2 * SQRT_2_OVER_PI);
    return 1 / (exp(minusTwoZ) + 1);
  }

  /** {@code e^(-x^2/2)}. */
  private static float gaussian(float x) {
    return exp(x * x * -0.5f);
  }

  /**
   * {@code Phi(x)} within 1e-7, from the rational form 7.1.26 of Abramowitz and Stegun; {@code e}
   * is {@link #gaussian}.
   */
  private static float normalCdf(float x, float e) {
    float t = 1 / (Math.abs(x) * (0.3275911f * SQRT_HALF) + 1);
    float p = 1.061405429f;
    p = Math.fma(p, t, -1.453152027f);
    p = Math.fma(p, t, 1.421413741f);
    p = Math.fma(p, t, -0.284496736f);
    p = Math.fma(p, t, 0.254829592f);
    float tail = p * t * e * 0.5f;
    return x > 0 ? 1 - tail : tail;
  }

  /**
   * {@code e^x} within 2 ulp; 0 below -87, e^88 above 88: {@code 2^n} times a polynomial on {@code
   * [-ln2/2, ln2/2]}.
   */
  private static float exp(float x) {
    float clamped = Math.min(Math.max(x, -87f), 88f);
    // Adding 1.5 * 2^23 rounds to an integer, which is then in the low mantissa bits.
    float shifted = Math.fma(clamped, 1.44269504f, 12582912f);
    float n = shifted - 12582912f;
    float r = Math.fma(n, -0.693359375f, clamped);
    r = Math.fma(n, 2.12194440e-4f, r);
    float p = 1.9875691500e-4f;
    p = Math.fma(p, r, 1.3981999507e-3f);
    p = Math.fma(p, r, 8.3334519073e-3f);
    p = Math.fma(p, r, 4.1665795894e-2f);
    p = Math.fma(p, r, 1.6666665459e-1f);
    p = Math.fma(p, r, 5.0000001201e-1f);
    p = Math.fma(p, r * r, r) + 1;
    int power = Float.floatToRawIntBits(shifted) << 23;
    return x < -87 ? 0 : Float.intBitsToFloat(Float.floatToRawIntBits(p) + power);
  }

  @Override
  double logSumOfExp(float[] row, int at, int n) {
    double max = max(row, at, n);
    double sum = 0;
    for (int i = at; i < at + n; i++) {
      sum += Math.exp(row[i] - max);
    }
    return max + Math.log(sum);
  }

  @Override
  boolean anyWithBits(MemorySegment block, int size, long bits) {
    for (int at = 0; at < Vectors.BLOCK_BYTES; at += size) {
      long number =
          switch (size) {
            case 2 -> block.get(SHORT, at);
            case 4 -> block.get(INT, at);
            default -> block.get(LONG, at);
          };
      if ((number & bits) == bits) {
        return true;
      }
    }
    return false;
  }

  @Override
  long sumOfLongs(MemorySegment block) {
    long sum = 0;
    for (int at = 0; at < MemoryRate.READ_BLOCK; at += Long.BYTES) {
      sum += block.get(ValueLayout.JAVA_LONG_UNALIGNED, at);
    }
    return sum;
  }

  @Override
  void scores(float[] keys, int at, float[] q, int qAt, int dims, int n, float[] out, int outAt) {
    Arrays.fill(out, outAt, outAt + n, 0);
    for (int d = 0; d < dims; d++) {
      addProducts(keys, at + d * POSITIONS, q[qAt + d], out, outAt, n);
    }
  }

  @Override
  void scores(int[] keys, int at, float[] q, int qAt, int dims, int n, float[] out, int outAt) {
    Arrays.fill(out, outAt, outAt + n, 0);
    for (int d = 0; d < dims; d += 2) {
      float high = d + 1 < dims ? q[qAt + d + 1] : 0;
      addProducts(keys, at + d / 2 * POSITIONS, q[qAt + d], high, out, outAt, n);
    }
  }

  @Override
  void scores(
      float[] keys,
      int at,
      float[] q,
      int qAt,
      int ldq,
      int dims,
      int n,
      float[] out,
      int outAt,
      int ldo) {
    for (int i = 0; i < QUERIES; i++) {
      scores(keys, at, q, qAt + i * ldq, dims, n, out, outAt + i * ldo);
    }
  }

  @Override
  void scores(
      int[] keys,
      int at,
      float[] q,
      int qAt,
      int ldq,
      int dims,
      int n,
      float[] out,
      int outAt,
      int ldo) {
    for (int i = 0; i < QUERIES; i++) {
      scores(keys, at, q, qAt + i * ldq, dims, n, out, outAt + i * ldo);
    }
  }

  @Override
  void values(
      float[] values, int at, int width, float[] p, int pAt, int n, float[] out, int outAt) {
    for (int t = 0; t < n; t++) {
      addProducts(values, at + t * width, p[pAt + t], out, outAt, width);
    }
  }

  @Override
  void values(int[] values, int at, int width, float[] p, int pAt, int n, float[] out, int outAt) {
    for (int t = 0; t < n; t += 2) {
      float high = t + 1 < n ? p[pAt + t + 1] : 0;
      addProducts(values, at + t / 2 * width, p[pAt + t], high, out, outAt, width);
    }
  }

  @Override
  void values(
      float[] values,
      int at,
      int width,
      float[] p,
      int pAt,
      int ldp,
      int n,
      float[] out,
      int outAt) {
    for (int i = 0; i < QUERIES; i++) {
      values(values, at, width, p, pAt + i * ldp, n, out, outAt + i * width);
    }
  }

  @Override
  void values(
      int[] values, int at, int width, float[] p, int pAt, int ldp, int n, float[] out, int outAt) {
    for (int i = 0; i < QUERIES; i++) {
      values(values, at, width, p, pAt + i * ldp, n, out, outAt + i * width);
    }
  }

  /** {@code out += factor * row}, with an fma for each value. */
  private static void addProducts(
      float[] row, int at, float factor, float[] out, int outAt, int n) {
    for (int i = 0; i < n; i++) {
      out[outAt + i] = Math.fma(factor, row[at + i], out[outAt + i]);
    }
  }

  /** The same for the low halves of a row, and then for the high ones. */
  private static void addProducts(
      int[] row, int at, float low, float high, float[] out, int outAt, int n) {
    for (int i = 0; i < n; i++) {
      int pair = row[at + i];
      float sum = Math.fma(low, Float.intBitsToFloat(pair << 16), out[outAt + i]);
      out[outAt + i] = Math.fma(high, Float.intBitsToFloat(pair & HIGH), sum);
    }
  }
}
