package dev.jneox.kernel;

import static dev.jneox.kernel.KvProducts.POSITIONS;
import static dev.jneox.kernel.Lanes.F;

import jdk.incubator.vector.FloatVector;

/** Multiplies with keys and values in fp32 on the Vector API, see {@link KvProducts}. */
final class FloatKvKernel {
  private static final int W = F.length();

  private FloatKvKernel() {}

  static void scores(
      float[] keys, int at, float[] q, int qAt, int dims, int n, float[] out, int outAt) {
    int vectors = (n + W - 1) / W;
    int v = 0;
    for (; v + 4 <= vectors; v += 4) {
      four(keys, at + v * W, q, qAt, dims, out, outAt + v * W);
    }
    for (; v < vectors; v++) {
      one(keys, at + v * W, q, qAt, dims, out, outAt + v * W);
    }
  }

  private static void four(
      float[] k, int at, float[] q, int qAt, int dims, float[] out, int outAt) {
    FloatVector s0 = FloatVector.zero(F);
    FloatVector s1 = s0;
    FloatVector s2 = s0;
    FloatVector s3 = s0;
    for (int d = 0; d < dims; d++) {
      FloatVector x = FloatVector.broadcast(F, q[qAt + d]);
      int row = at + d * POSITIONS;
      s0 = x.fma(FloatVector.fromArray(F, k, row), s0);
      s1 = x.fma(FloatVector.fromArray(F, k, row + W), s1);
      s2 = x.fma(FloatVector.fromArray(F, k, row + 2 * W), s2);
      s3 = x.fma(FloatVector.fromArray(F, k, row + 3 * W), s3);
    }
    s0.intoArray(out, outAt);
    s1.intoArray(out, outAt + W);
    s2.intoArray(out, outAt + 2 * W);
    s3.intoArray(out, outAt + 3 * W);
  }

  private static void one(float[] k, int at, float[] q, int qAt, int dims, float[] out, int outAt) {
    FloatVector s = FloatVector.zero(F);
    for (int d = 0; d < dims; d++) {
      s =
          FloatVector.broadcast(F, q[qAt + d])
              .fma(FloatVector.fromArray(F, k, at + d * POSITIONS), s);
    }
    s.intoArray(out, outAt);
  }

  static void scores(
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
    int vectors = (n + W - 1) / W;
    for (int v = 0; v < vectors; v += 2) {
      pair(keys, at + v * W, q, qAt, ldq, dims, out, outAt + v * W, ldo);
    }
  }

  private static void pair(
      float[] k, int at, float[] q, int qAt, int ldq, int dims, float[] out, int outAt, int ldo) {
    FloatVector a0 = FloatVector.zero(F);
    FloatVector a1 = a0;
    FloatVector b0 = a0;
    FloatVector b1 = a0;
    FloatVector c0 = a0;
    FloatVector c1 = a0;
    FloatVector d0 = a0;
    FloatVector d1 = a0;
    for (int d = 0; d < dims; d++) {
      FloatVector k0 = FloatVector.fromArray(F, k, at + d * POSITIONS);
      FloatVector k1 = FloatVector.fromArray(F, k, at + d * POSITIONS + W);
      FloatVector x = FloatVector.broadcast(F, q[qAt + d]);
      a0 = x.fma(k0, a0);
      a1 = x.fma(k1, a1);
      x = FloatVector.broadcast(F, q[qAt + ldq + d]);
      b0 = x.fma(k0, b0);
      b1 = x.fma(k1, b1);
      x = FloatVector.broadcast(F, q[qAt + 2 * ldq + d]);
      c0 = x.fma(k0, c0);
      c1 = x.fma(k1, c1);
      x = FloatVector.broadcast(F, q[qAt + 3 * ldq + d]);
      d0 = x.fma(k0, d0);
      d1 = x.fma(k1, d1);
    }
    a0.intoArray(out, outAt);
    a1.intoArray(out, outAt + W);
    b0.intoArray(out, outAt + ldo);
    b1.intoArray(out, outAt + ldo + W);
    c0.intoArray(out, outAt + 2 * ldo);
    c1.intoArray(out, outAt + 2 * ldo + W);
    d0.intoArray(out, outAt + 3 * ldo);
    d1.intoArray(out, outAt + 3 * ldo + W);
  }

  static void values(
      float[] values, int at, int width, float[] p, int pAt, int n, float[] out, int outAt) {
    int d = 0;
    for (; d + 4 * W <= width; d += 4 * W) {
      fourValues(values, at + d, width, p, pAt, n, out, outAt + d);
    }
    for (; d < width; d += W) {
      oneValue(values, at + d, width, p, pAt, n, out, outAt + d);
    }
  }

  private static void fourValues(
      float[] v, int at, int ldv, float[] p, int pAt, int n, float[] out, int outAt) {
    FloatVector s0 = FloatVector.fromArray(F, out, outAt);
    FloatVector s1 = FloatVector.fromArray(F, out, outAt + W);
    FloatVector s2 = FloatVector.fromArray(F, out, outAt + 2 * W);
    FloatVector s3 = FloatVector.fromArray(F, out, outAt + 3 * W);
    for (int t = 0; t < n; t++) {
      FloatVector x = FloatVector.broadcast(F, p[pAt + t]);
      int row = at + t * ldv;
      s0 = x.fma(FloatVector.fromArray(F, v, row), s0);
      s1 = x.fma(FloatVector.fromArray(F, v, row + W), s1);
      s2 = x.fma(FloatVector.fromArray(F, v, row + 2 * W), s2);
      s3 = x.fma(FloatVector.fromArray(F, v, row + 3 * W), s3);
    }
    s0.intoArray(out, outAt);
    s1.intoArray(out, outAt + W);
    s2.intoArray(out, outAt + 2 * W);
    s3.intoArray(out, outAt + 3 * W);
  }

  private static void oneValue(
      float[] v, int at, int ldv, float[] p, int pAt, int n, float[] out, int outAt) {
    FloatVector s = FloatVector.fromArray(F, out, outAt);
    for (int t = 0; t < n; t++) {
      s = FloatVector.broadcast(F, p[pAt + t]).fma(FloatVector.fromArray(F, v, at + t * ldv), s);
    }
    s.intoArray(out, outAt);
  }

  static void values(
      float[] values,
      int at,
      int width,
      float[] p,
      int pAt,
      int ldp,
      int n,
      float[] out,
      int outAt) {
    for (int d = 0; d < width; d += W) {
      rowsOfValues(values, at + d, width, p, pAt, ldp, n, out, outAt + d);
    }
  }

  private static void rowsOfValues(
      float[] v, int at, int ldv, float[] p, int pAt, int ldp, int n, float[] out, int outAt) {
    FloatVector a = FloatVector.fromArray(F, out, outAt);
    FloatVector b = FloatVector.fromArray(F, out, outAt + ldv);
    FloatVector c = FloatVector.fromArray(F, out, outAt + 2 * ldv);
    FloatVector d = FloatVector.fromArray(F, out, outAt + 3 * ldv);
    for (int t = 0; t < n; t++) {
      FloatVector x = FloatVector.fromArray(F, v, at + t * ldv);
      a = FloatVector.broadcast(F, p[pAt + t]).fma(x, a);
      b = FloatVector.broadcast(F, p[pAt + ldp + t]).fma(x, b);
      c = FloatVector.broadcast(F, p[pAt + 2 * ldp + t]).fma(x, c);
      d = FloatVector.broadcast(F, p[pAt + 3 * ldp + t]).fma(x, d);
    }
    a.intoArray(out, outAt);
    b.intoArray(out, outAt + ldv);
    c.intoArray(out, outAt + 2 * ldv);
    d.intoArray(out, outAt + 3 * ldv);
  }
}
