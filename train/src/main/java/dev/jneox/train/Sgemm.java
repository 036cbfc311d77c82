package dev.jneox.train;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;

/**
 * Multiplies small fp32 matrices in {@code float[]} that fit a cache: the blocks of an attention
 * head. A tile of six rows by two vectors keeps its twelve sums in registers.
 */
final class Sgemm {
  private static final VectorSpecies<Float> F = FloatVector.SPECIES_PREFERRED;
  private static final int L = F.length();

  /** Columns of C are a multiple of this; rows and the inner dimension are free. */
  static final int COLUMNS = 2 * L;

  private Sgemm() {}

  /** Returns {@code n} rounded up to a multiple of {@link #COLUMNS}. */
  static int padded(int n) {
    return (n + COLUMNS - 1) / COLUMNS * COLUMNS;
  }

  /**
   * Computes {@code C += A B}.
   *
   * @param m rows of A and C
   * @param n columns of B and C, a multiple of {@link #COLUMNS}
   * @param k columns of A, rows of B
   * @param a element (i, p) at {@code a0 + i * rowStride + p * columnStride}, so that a transposed
   *     A needs no copy
   * @param b element (p, j) at {@code b0 + p * ldb + j}
   * @param c element (i, j) at {@code c0 + i * ldc + j}
   */
  static void multiply(
      int m,
      int n,
      int k,
      float[] a,
      int a0,
      int rowStride,
      int columnStride,
      float[] b,
      int b0,
      int ldb,
      float[] c,
      int c0,
      int ldc) {
    for (int j = 0; j < n; j += COLUMNS) {
      int i = 0;
      for (; i + 6 <= m; i += 6) {
        six(
            k,
            a,
            a0 + i * rowStride,
            rowStride,
            columnStride,
            b,
            b0 + j,
            ldb,
            c,
            c0 + i * ldc + j,
            ldc);
      }
      for (; i < m; i++) {
        one(k, a, a0 + i * rowStride, columnStride, b, b0 + j, ldb, c, c0 + i * ldc + j);
      }
    }
  }

  // C2 stops inlining in a method with many vector operations, and a vector that is passed to a
  // call that is not inlined is allocated on the heap. So these two methods are as small as they
  // can be, without a branch for C = A B. Check with -XX:+PrintInlining after a change.

  private static void six(
      int k,
      float[] a,
      int a0,
      int rowStride,
      int columnStride,
      float[] b,
      int b0,
      int ldb,
      float[] c,
      int c0,
      int ldc) {
    int c1 = c0 + ldc;
    int c2 = c1 + ldc;
    int c3 = c2 + ldc;
    int c4 = c3 + ldc;
    int c5 = c4 + ldc;
    FloatVector s00 = FloatVector.fromArray(F, c, c0);
    FloatVector s01 = FloatVector.fromArray(F, c, c0 + L);
    FloatVector s10 = FloatVector.fromArray(F, c, c1);
    FloatVector s11 = FloatVector.fromArray(F, c, c1 + L);
    FloatVector s20 = FloatVector.fromArray(F, c, c2);
    FloatVector s21 = FloatVector.fromArray(F, c, c2 + L);
    FloatVector s30 = FloatVector.fromArray(F, c, c3);
    FloatVector s31 = FloatVector.fromArray(F, c, c3 + L);
    FloatVector s40 = FloatVector.fromArray(F, c, c4);
    FloatVector s41 = FloatVector.fromArray(F, c, c4 + L);
    FloatVector s50 = FloatVector.fromArray(F, c, c5);
    FloatVector s51 = FloatVector.fromArray(F, c, c5 + L);
    int r2 = 2 * rowStride;
    int r3 = 3 * rowStride;
    int r4 = 4 * rowStride;
    int r5 = 5 * rowStride;
    for (int p = 0; p < k; p++) {
      FloatVector left = FloatVector.fromArray(F, b, b0);
      FloatVector right = FloatVector.fromArray(F, b, b0 + L);
      FloatVector x = FloatVector.broadcast(F, a[a0]);
      s00 = x.fma(left, s00);
      s01 = x.fma(right, s01);
      x = FloatVector.broadcast(F, a[a0 + rowStride]);
      s10 = x.fma(left, s10);
      s11 = x.fma(right, s11);
      x = FloatVector.broadcast(F, a[a0 + r2]);
      s20 = x.fma(left, s20);
      s21 = x.fma(right, s21);
      x = FloatVector.broadcast(F, a[a0 + r3]);
      s30 = x.fma(left, s30);
      s31 = x.fma(right, s31);
      x = FloatVector.broadcast(F, a[a0 + r4]);
      s40 = x.fma(left, s40);
      s41 = x.fma(right, s41);
      x = FloatVector.broadcast(F, a[a0 + r5]);
      s50 = x.fma(left, s50);
      s51 = x.fma(right, s51);
      a0 += columnStride;
      b0 += ldb;
    }
    s00.intoArray(c, c0);
    s01.intoArray(c, c0 + L);
    s10.intoArray(c, c1);
    s11.intoArray(c, c1 + L);
    s20.intoArray(c, c2);
    s21.intoArray(c, c2 + L);
    s30.intoArray(c, c3);
    s31.intoArray(c, c3 + L);
    s40.intoArray(c, c4);
    s41.intoArray(c, c4 + L);
    s50.intoArray(c, c5);
    s51.intoArray(c, c5 + L);
  }

  private static void one(
      int k, float[] a, int a0, int columnStride, float[] b, int b0, int ldb, float[] c, int c0) {
    FloatVector s0 = FloatVector.fromArray(F, c, c0);
    FloatVector s1 = FloatVector.fromArray(F, c, c0 + L);
    for (int p = 0; p < k; p++) {
      FloatVector x = FloatVector.broadcast(F, a[a0]);
      s0 = x.fma(FloatVector.fromArray(F, b, b0), s0);
      s1 = x.fma(FloatVector.fromArray(F, b, b0 + L), s1);
      a0 += columnStride;
      b0 += ldb;
    }
    s0.intoArray(c, c0);
    s1.intoArray(c, c0 + L);
  }
}
