package dev.jneox.train;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;

/**
 * Small fp32 matrix products over {@code float[]}, for operands that stay in a cache: the blocks of an attention head. A tile of six
 * rows by two vectors keeps twelve sums in registers.
 */
final class Sgemm {
  private static final VectorSpecies<Float> F = FloatVector.SPECIES_PREFERRED;
  private static final int L = F.length();

  /** Columns come in multiples of this; rows and the inner dimension are free. */
  static final int COLUMNS = 2 * L;

  private Sgemm() {}

  /** {@code n} rounded up to whole {@link #COLUMNS}. */
  static int padded(int n) {
    return (n + COLUMNS - 1) / COLUMNS * COLUMNS;
  }

  /**
   * {@code C = A B}, or {@code C += A B}.
   *
   * @param m rows of A and C
   * @param n columns of B and C, a multiple of {@link #COLUMNS}
   * @param k columns of A, rows of B
   * @param a element (i, p) at {@code a0 + i * rowStride + p * columnStride}, so that a transposed A needs no copy
   * @param b element (p, j) at {@code b0 + p * ldb + j}
   * @param c element (i, j) at {@code c0 + i * ldc + j}
   */
  static void multiply(
      int m, int n, int k,
      float[] a, int a0, int rowStride, int columnStride,
      float[] b, int b0, int ldb,
      float[] c, int c0, int ldc, boolean add) {
    for (int j = 0; j < n; j += COLUMNS) {
      int i = 0;
      for (; i + 6 <= m; i += 6) {
        six(k, a, a0 + i * rowStride, rowStride, columnStride, b, b0 + j, ldb, c, c0 + i * ldc + j, ldc, add);
      }
      for (; i < m; i++) {
        one(k, a, a0 + i * rowStride, columnStride, b, b0 + j, ldb, c, c0 + i * ldc + j, add);
      }
    }
  }

  private static void six(
      int k, float[] a, int a0, int rowStride, int columnStride, float[] b, int b0, int ldb, float[] c, int c0, int ldc, boolean add) {
    FloatVector s00 = FloatVector.zero(F);
    FloatVector s01 = s00;
    FloatVector s10 = s00;
    FloatVector s11 = s00;
    FloatVector s20 = s00;
    FloatVector s21 = s00;
    FloatVector s30 = s00;
    FloatVector s31 = s00;
    FloatVector s40 = s00;
    FloatVector s41 = s00;
    FloatVector s50 = s00;
    FloatVector s51 = s00;
    int r1 = rowStride;
    int r2 = 2 * rowStride;
    int r3 = 3 * rowStride;
    int r4 = 4 * rowStride;
    int r5 = 5 * rowStride;
    for (int p = 0; p < k; p++) {
      FloatVector b0v = FloatVector.fromArray(F, b, b0);
      FloatVector b1v = FloatVector.fromArray(F, b, b0 + L);
      FloatVector x = FloatVector.broadcast(F, a[a0]);
      s00 = x.fma(b0v, s00);
      s01 = x.fma(b1v, s01);
      x = FloatVector.broadcast(F, a[a0 + r1]);
      s10 = x.fma(b0v, s10);
      s11 = x.fma(b1v, s11);
      x = FloatVector.broadcast(F, a[a0 + r2]);
      s20 = x.fma(b0v, s20);
      s21 = x.fma(b1v, s21);
      x = FloatVector.broadcast(F, a[a0 + r3]);
      s30 = x.fma(b0v, s30);
      s31 = x.fma(b1v, s31);
      x = FloatVector.broadcast(F, a[a0 + r4]);
      s40 = x.fma(b0v, s40);
      s41 = x.fma(b1v, s41);
      x = FloatVector.broadcast(F, a[a0 + r5]);
      s50 = x.fma(b0v, s50);
      s51 = x.fma(b1v, s51);
      a0 += columnStride;
      b0 += ldb;
    }
    put(s00, s01, c, c0, add);
    put(s10, s11, c, c0 + ldc, add);
    put(s20, s21, c, c0 + 2 * ldc, add);
    put(s30, s31, c, c0 + 3 * ldc, add);
    put(s40, s41, c, c0 + 4 * ldc, add);
    put(s50, s51, c, c0 + 5 * ldc, add);
  }

  private static void one(
      int k, float[] a, int a0, int columnStride, float[] b, int b0, int ldb, float[] c, int c0, boolean add) {
    FloatVector s0 = FloatVector.zero(F);
    FloatVector s1 = s0;
    for (int p = 0; p < k; p++) {
      FloatVector x = FloatVector.broadcast(F, a[a0]);
      s0 = x.fma(FloatVector.fromArray(F, b, b0), s0);
      s1 = x.fma(FloatVector.fromArray(F, b, b0 + L), s1);
      a0 += columnStride;
      b0 += ldb;
    }
    put(s0, s1, c, c0, add);
  }

  private static void put(FloatVector s0, FloatVector s1, float[] c, int at, boolean add) {
    if (add) {
      s0.add(FloatVector.fromArray(F, c, at)).intoArray(c, at);
      s1.add(FloatVector.fromArray(F, c, at + L)).intoArray(c, at + L);
    } else {
      s0.intoArray(c, at);
      s1.intoArray(c, at + L);
    }
  }
}
