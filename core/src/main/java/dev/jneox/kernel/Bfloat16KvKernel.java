package dev.jneox.kernel;

import static dev.jneox.kernel.KvProducts.POSITIONS;
import static dev.jneox.kernel.Lanes.F;
import static dev.jneox.kernel.Lanes.I;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;

/**
 * Multiplies with keys and values in pairs of bfloat16 on the Vector API, see {@link KvProducts}.
 */
final class Bfloat16KvKernel {
  private static final int W = F.length();
  private static final int HIGH = 0xFFFF0000;

  private Bfloat16KvKernel() {}

  private static FloatVector low(IntVector pairs) {
    return pairs.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
  }

  private static FloatVector high(IntVector pairs) {
    return pairs.and(HIGH).reinterpretAsFloats();
  }

  static void scores(
      int[] keys, int at, float[] q, int qAt, int dims, int n, float[] out, int outAt) {
    int vectors = (n + W - 1) / W;
    int v = 0;
    for (; v + 4 <= vectors; v += 4) {
      four(keys, at + v * W, q, qAt, dims, out, outAt + v * W);
    }
    for (; v < vectors; v++) {
      one(keys, at + v * W, q, qAt, dims, out, outAt + v * W);
    }
  }

  private static void four(int[] k, int at, float[] q, int qAt, int dims, float[] out, int outAt) {
    FloatVector s0 = FloatVector.zero(F);
    FloatVector s1 = s0;
    FloatVector s2 = s0;
    FloatVector s3 = s0;
    for (int d = 0; d < dims; d += 2) {
      int row = at + d / 2 * POSITIONS;
      IntVector k0 = IntVector.fromArray(I, k, row);
      IntVector k1 = IntVector.fromArray(I, k, row + W);
      IntVector k2 = IntVector.fromArray(I, k, row + 2 * W);
      IntVector k3 = IntVector.fromArray(I, k, row + 3 * W);
      FloatVector x = FloatVector.broadcast(F, q[qAt + d]);
      s0 = x.fma(low(k0), s0);
      s1 = x.fma(low(k1), s1);
      s2 = x.fma(low(k2), s2);
      s3 = x.fma(low(k3), s3);
      x = FloatVector.broadcast(F, d + 1 < dims ? q[qAt + d + 1] : 0);
      s0 = x.fma(high(k0), s0);
      s1 = x.fma(high(k1), s1);
      s2 = x.fma(high(k2), s2);
      s3 = x.fma(high(k3), s3);
    }
    s0.intoArray(out, outAt);
    s1.intoArray(out, outAt + W);
    s2.intoArray(out, outAt + 2 * W);
    s3.intoArray(out, outAt + 3 * W);
  }

  private static void one(int[] k, int at, float[] q, int qAt, int dims, float[] out, int outAt) {
    FloatVector s = FloatVector.zero(F);
    for (int d = 0; d < dims; d += 2) {
      IntVector pairs = IntVector.fromArray(I, k, at + d / 2 * POSITIONS);
      s = FloatVector.broadcast(F, q[qAt + d]).fma(low(pairs), s);
      s = FloatVector.broadcast(F, d + 1 < dims ? q[qAt + d + 1] : 0).fma(high(pairs), s);
    }
    s.intoArray(out, outAt);
  }

  static void scores(
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
    int vectors = (n + W - 1) / W;
    for (int v = 0; v < vectors; v++) {
      column(keys, at + v * W, q, qAt, ldq, dims, out, outAt + v * W, ldo);
    }
  }

  private static void column(
      int[] k, int at, float[] q, int qAt, int ldq, int dims, float[] out, int outAt, int ldo) {
    FloatVector a = FloatVector.zero(F);
    FloatVector b = a;
    FloatVector c = a;
    FloatVector e = a;
    for (int d = 0; d < dims; d += 2) {
      IntVector pairs = IntVector.fromArray(I, k, at + d / 2 * POSITIONS);
      FloatVector low = low(pairs);
      FloatVector high = high(pairs);
      int x = qAt + d;
      boolean whole = d + 1 < dims;
      a = FloatVector.broadcast(F, q[x]).fma(low, a);
      b = FloatVector.broadcast(F, q[x + ldq]).fma(low, b);
      c = FloatVector.broadcast(F, q[x + 2 * ldq]).fma(low, c);
      e = FloatVector.broadcast(F, q[x + 3 * ldq]).fma(low, e);
      a = FloatVector.broadcast(F, whole ? q[x + 1] : 0).fma(high, a);
      b = FloatVector.broadcast(F, whole ? q[x + 1 + ldq] : 0).fma(high, b);
      c = FloatVector.broadcast(F, whole ? q[x + 1 + 2 * ldq] : 0).fma(high, c);
      e = FloatVector.broadcast(F, whole ? q[x + 1 + 3 * ldq] : 0).fma(high, e);
    }
    a.intoArray(out, outAt);
    b.intoArray(out, outAt + ldo);
    c.intoArray(out, outAt + 2 * ldo);
    e.intoArray(out, outAt + 3 * ldo);
  }

  static void values(
      int[] values, int at, int width, float[] p, int pAt, int n, float[] out, int outAt) {
    int d = 0;
    for (; d + 4 * W <= width; d += 4 * W) {
      fourValues(values, at + d, width, p, pAt, n, out, outAt + d);
    }
    for (; d < width; d += W) {
      oneValue(values, at + d, width, p, pAt, n, out, outAt + d);
    }
  }

  private static void fourValues(
      int[] v, int at, int ldv, float[] p, int pAt, int n, float[] out, int outAt) {
    FloatVector s0 = FloatVector.fromArray(F, out, outAt);
    FloatVector s1 = FloatVector.fromArray(F, out, outAt + W);
    FloatVector s2 = FloatVector.fromArray(F, out, outAt + 2 * W);
    FloatVector s3 = FloatVector.fromArray(F, out, outAt + 3 * W);
    for (int t = 0; t < n; t += 2) {
      int row = at + t / 2 * ldv;
      IntVector v0 = IntVector.fromArray(I, v, row);
      IntVector v1 = IntVector.fromArray(I, v, row + W);
      IntVector v2 = IntVector.fromArray(I, v, row + 2 * W);
      IntVector v3 = IntVector.fromArray(I, v, row + 3 * W);
      FloatVector x = FloatVector.broadcast(F, p[pAt + t]);
      s0 = x.fma(low(v0), s0);
      s1 = x.fma(low(v1), s1);
      s2 = x.fma(low(v2), s2);
      s3 = x.fma(low(v3), s3);
      x = FloatVector.broadcast(F, t + 1 < n ? p[pAt + t + 1] : 0);
      s0 = x.fma(high(v0), s0);
      s1 = x.fma(high(v1), s1);
      s2 = x.fma(high(v2), s2);
      s3 = x.fma(high(v3), s3);
    }
    s0.intoArray(out, outAt);
    s1.intoArray(out, outAt + W);
    s2.intoArray(out, outAt + 2 * W);
    s3.intoArray(out, outAt + 3 * W);
  }

  private static void oneValue(
      int[] v, int at, int ldv, float[] p, int pAt, int n, float[] out, int outAt) {
    FloatVector s = FloatVector.fromArray(F, out, outAt);
    for (int t = 0; t < n; t += 2) {
      IntVector pairs = IntVector.fromArray(I, v, at + t / 2 * ldv);
      s = FloatVector.broadcast(F, p[pAt + t]).fma(low(pairs), s);
      s = FloatVector.broadcast(F, t + 1 < n ? p[pAt + t + 1] : 0).fma(high(pairs), s);
    }
    s.intoArray(out, outAt);
  }

  static void values(
      int[] values, int at, int width, float[] p, int pAt, int ldp, int n, float[] out, int outAt) {
    for (int d = 0; d < width; d += W) {
      rowsOfValues(values, at + d, width, p, pAt, ldp, n, out, outAt + d);
    }
  }

  private static void rowsOfValues(
      int[] v, int at, int ldv, float[] p, int pAt, int ldp, int n, float[] out, int outAt) {
    FloatVector a = FloatVector.fromArray(F, out, outAt);
    FloatVector b = FloatVector.fromArray(F, out, outAt + ldv);
    FloatVector c = FloatVector.fromArray(F, out, outAt + 2 * ldv);
    FloatVector e = FloatVector.fromArray(F, out, outAt + 3 * ldv);
    for (int t = 0; t < n; t += 2) {
      IntVector pairs = IntVector.fromArray(I, v, at + t / 2 * ldv);
      FloatVector low = low(pairs);
      FloatVector high = high(pairs);
      int x = pAt + t;
      boolean whole = t + 1 < n;
      a = FloatVector.broadcast(F, p[x]).fma(low, a);
      b = FloatVector.broadcast(F, p[x + ldp]).fma(low, b);
      c = FloatVector.broadcast(F, p[x + 2 * ldp]).fma(low, c);
      e = FloatVector.broadcast(F, p[x + 3 * ldp]).fma(low, e);
      a = FloatVector.broadcast(F, whole ? p[x + 1] : 0).fma(high, a);
      b = FloatVector.broadcast(F, whole ? p[x + 1 + ldp] : 0).fma(high, b);
      c = FloatVector.broadcast(F, whole ? p[x + 1 + 2 * ldp] : 0).fma(high, c);
      e = FloatVector.broadcast(F, whole ? p[x + 1 + 3 * ldp] : 0).fma(high, e);
    }
    a.intoArray(out, outAt);
    b.intoArray(out, outAt + ldv);
    c.intoArray(out, outAt + 2 * ldv);
    e.intoArray(out, outAt + 3 * ldv);
  }
}
