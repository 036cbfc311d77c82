package dev.jneox.kernel;

import static dev.jneox.kernel.Lanes.F;
import static dev.jneox.kernel.Lanes.exp;
import static dev.jneox.kernel.Lanes.total;
import static dev.jneox.kernel.StoredNumbers.ORDER;
import static dev.jneox.kernel.Vectors.CUBIC;
import static dev.jneox.kernel.Vectors.INV_SQRT_2PI;
import static dev.jneox.kernel.Vectors.SQRT_2_OVER_PI;
import static dev.jneox.kernel.Vectors.SQRT_HALF;

import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.LongVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorOperators;

/** Computes on the Vector API, on any CPU. */
sealed class VectorKernels extends Kernels permits MachineCodeKernels {
  static int bits() {
    return FloatVector.SPECIES_PREFERRED.vectorBitSize();
  }

  @Override
  String name() {
    return "vector";
  }

  @Override
  public String toString() {
    return "Vector API (" + bits() + " bits)";
  }

  @Override
  Int8Rows int8(int rows, int groups) {
    return new Int8Coefficients(rows, groups);
  }

  @Override
  void multiply(
      Q4Weight weight, InputRows x, float[] y, int at, int ldy, int fromBlock, int toBlock) {
    Q4Kernel.multiply(weight, x, y, at, ldy, fromBlock, toBlock);
  }

  @Override
  void multiply(
      Q8Weight weight, InputRows x, float[] y, int at, int ldy, int fromBlock, int toBlock) {
    Q8Kernel.multiply(weight, x, y, at, ldy, fromBlock, toBlock);
  }

  @Override
  void multiply(
      DenseWeight weight, InputRows x, float[] y, int at, int ldy, int fromBlock, int toBlock) {
    DenseKernel.multiply(weight, x, y, at, ldy, fromBlock, toBlock);
  }

  @Override
  void add(float[] a, int a0, float[] b, int b0, int n) {
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

  @Override
  void multiply(float[] a, int a0, float[] b, int b0, int n) {
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

  @Override
  float max(float[] row, int at, int n) {
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

  @Override
  float sum(float[] row, int at, int n) {
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

  @Override
  float dot(float[] a, int a0, float[] b, int b0, int n) {
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

  @Override
  float squares(float[] row, int at, float mean, int n) {
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

  @Override
  float expAndSum(float[] row, int at, float max, int n) {
    int padded = Vectors.padded(n);
    for (int i = n; i < padded; i++) {
      row[at + i] = Float.NEGATIVE_INFINITY;
    }
    FloatVector s = FloatVector.zero(F);
    for (int i = at; i < at + padded; i += F.length()) {
      FloatVector e = exp(FloatVector.fromArray(F, row, i).sub(max));
      e.intoArray(row, i);
      s = s.add(e);
    }
    return total(s);
  }

  @Override
  void softmaxBackward(
      float[] scores, float[] gradients, int at, float logSum, float projection, int n) {
    for (int i = at; i < at + n; i += F.length()) {
      FloatVector p = exp(FloatVector.fromArray(F, scores, i).sub(logSum));
      p.intoArray(scores, i);
      p.mul(FloatVector.fromArray(F, gradients, i).sub(projection)).intoArray(gradients, i);
    }
  }

  @Override
  void gelu(float[] row, int at, int n) {
    for (int i = at; i < at + n; i += F.length()) {
      FloatVector x = FloatVector.fromArray(F, row, i);
      x.mul(normalCdf(x, gaussian(x))).intoArray(row, i);
    }
  }

  @Override
  void geluBackward(float[] x, float[] gradient, int n) {
    for (int i = 0; i < n; i += F.length()) {
      FloatVector v = FloatVector.fromArray(F, x, i);
      FloatVector e = gaussian(v);
      FloatVector slope = v.mul(e).fma(FloatVector.broadcast(F, INV_SQRT_2PI), normalCdf(v, e));
      FloatVector.fromArray(F, gradient, i).mul(slope).intoArray(gradient, i);
    }
  }

  @Override
  void geluTanh(float[] row, int at, int n) {
    for (int i = at; i < at + n; i += F.length()) {
      FloatVector x = FloatVector.fromArray(F, row, i);
      x.mul(gate(x, x.mul(x))).intoArray(row, i);
    }
  }

  @Override
  void geluTanhBackward(float[] x, float[] gradient, int n) {
    for (int i = 0; i < n; i += F.length()) {
      FloatVector v = FloatVector.fromArray(F, x, i);
      FloatVector square = v.mul(v);
      FloatVector s = gate(v, square);
      FloatVector twiceSlope = square.mul(6 * SQRT_2_OVER_PI * CUBIC).add(2 * SQRT_2_OVER_PI);
      FloatVector slope = v.mul(s).mul(s.neg().add(1f)).fma(twiceSlope, s);
      FloatVector.fromArray(F, gradient, i).mul(slope).intoArray(gradient, i);
    }
  }

  @Override
  void silu(float[] row, int at, int n) {
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

  @Override
  double logSumOfExp(float[] row, int at, int n) {
    return LogSumKernel.logSumOfExp(row, at, n, max(row, at, n));
  }

  @Override
  boolean anyWithBits(MemorySegment block, int size, long bits) {
    return switch (size) {
      case 2 -> any(block, (short) bits);
      case 4 -> any(block, (int) bits);
      default -> any(block, bits);
    };
  }

  private static boolean any(MemorySegment block, short bits) {
    var species = ShortVector.SPECIES_PREFERRED;
    var found = species.maskAll(false);
    for (int at = 0; at < Vectors.BLOCK_BYTES; at += species.vectorByteSize()) {
      var numbers = ShortVector.fromMemorySegment(species, block, at, ORDER);
      found = found.or(numbers.and(bits).compare(VectorOperators.EQ, bits));
    }
    return found.anyTrue();
  }

  private static boolean any(MemorySegment block, int bits) {
    var species = IntVector.SPECIES_PREFERRED;
    var found = species.maskAll(false);
    for (int at = 0; at < Vectors.BLOCK_BYTES; at += species.vectorByteSize()) {
      var numbers = IntVector.fromMemorySegment(species, block, at, ORDER);
      found = found.or(numbers.and(bits).compare(VectorOperators.EQ, bits));
    }
    return found.anyTrue();
  }

  private static boolean any(MemorySegment block, long bits) {
    var species = LongVector.SPECIES_PREFERRED;
    var found = species.maskAll(false);
    for (int at = 0; at < Vectors.BLOCK_BYTES; at += species.vectorByteSize()) {
      var numbers = LongVector.fromMemorySegment(species, block, at, ORDER);
      found = found.or(numbers.and(bits).compare(VectorOperators.EQ, bits));
    }
    return found.anyTrue();
  }

  @Override
  long sumOfLongs(MemorySegment block) {
    var longs = LongVector.SPECIES_PREFERRED;
    int width = longs.vectorByteSize();
    LongVector a = LongVector.zero(longs);
    LongVector b = a;
    LongVector c = a;
    LongVector d = a;
    for (int at = 0; at < MemoryRate.READ_BLOCK; at += 4 * width) {
      a = a.add(LongVector.fromMemorySegment(longs, block, at, ByteOrder.nativeOrder()));
      b = b.add(LongVector.fromMemorySegment(longs, block, at + width, ByteOrder.nativeOrder()));
      c =
          c.add(
              LongVector.fromMemorySegment(longs, block, at + 2 * width, ByteOrder.nativeOrder()));
      d =
          d.add(
              LongVector.fromMemorySegment(longs, block, at + 3 * width, ByteOrder.nativeOrder()));
    }
    return a.add(b).add(c.add(d)).reduceLanes(VectorOperators.ADD);
  }

  @Override
  void scores(float[] keys, int at, float[] q, int qAt, int dims, int n, float[] out, int outAt) {
    FloatKvKernel.scores(keys, at, q, qAt, dims, n, out, outAt);
  }

  @Override
  void scores(int[] keys, int at, float[] q, int qAt, int dims, int n, float[] out, int outAt) {
    Bfloat16KvKernel.scores(keys, at, q, qAt, dims, n, out, outAt);
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
    FloatKvKernel.scores(keys, at, q, qAt, ldq, dims, n, out, outAt, ldo);
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
    Bfloat16KvKernel.scores(keys, at, q, qAt, ldq, dims, n, out, outAt, ldo);
  }

  @Override
  void values(
      float[] values, int at, int width, float[] p, int pAt, int n, float[] out, int outAt) {
    FloatKvKernel.values(values, at, width, p, pAt, n, out, outAt);
  }

  @Override
  void values(int[] values, int at, int width, float[] p, int pAt, int n, float[] out, int outAt) {
    Bfloat16KvKernel.values(values, at, width, p, pAt, n, out, outAt);
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
    FloatKvKernel.values(values, at, width, p, pAt, ldp, n, out, outAt);
  }

  @Override
  void values(
      int[] values, int at, int width, float[] p, int pAt, int ldp, int n, float[] out, int outAt) {
    Bfloat16KvKernel.values(values, at, width, p, pAt, ldp, n, out, outAt);
  }
}
