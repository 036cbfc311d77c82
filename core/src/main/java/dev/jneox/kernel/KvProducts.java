package dev.jneox.kernel;

/**
 * Multiplies queries with the keys of a page of positions, and probabilities with its values.
 *
 * <p>Keys are {@code [dims][64]}, so that a vector holds a value of many positions; values are
 * {@code [64][width]}, rows of {@link Vectors#padded} values. Both are fp32 ({@code float[]}), or
 * pairs of bfloat16 ({@code int[]}, the first in the low half): of keys two neighbouring values of
 * the head, {@code [dims / 2][64]}, of values two neighbouring positions, {@code [32][width]}.
 * Where {@code dims} is odd the last high halves are zero, and so they are where a position is not
 * there.
 *
 * <p>Every score is one sum over the head's width in rising order, every output one sum over the
 * positions in rising order, an fma for each term: the same bits on every machine, however many
 * queries share a read.
 */
public final class KvProducts {
  /** Positions in a page. */
  public static final int POSITIONS = 64;

  /** Queries that share one read of keys and values where there are many. */
  public static final int QUERIES = 4;

  private KvProducts() {}

  /**
   * {@code out[outAt + t] = k[t] q} for the first {@code n} positions; those behind them may be
   * overwritten, up to {@link #POSITIONS}.
   */
  public static void scores(
      float[] keys, int at, float[] q, int qAt, int dims, int n, float[] out, int outAt) {
    Kernels.chosen().scores(keys, at, q, qAt, dims, n, out, outAt);
  }

  /** The same of pairs of bfloat16. */
  public static void scores(
      int[] keys, int at, float[] q, int qAt, int dims, int n, float[] out, int outAt) {
    Kernels.chosen().scores(keys, at, q, qAt, dims, n, out, outAt);
  }

  /** The same for {@link #QUERIES} queries at once, rows of {@code q} and {@code out}. */
  public static void scores(
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
    Kernels.chosen().scores(keys, at, q, qAt, ldq, dims, n, out, outAt, ldo);
  }

  /** The same of pairs of bfloat16. */
  public static void scores(
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
    Kernels.chosen().scores(keys, at, q, qAt, ldq, dims, n, out, outAt, ldo);
  }

  /** {@code out[outAt + d] += p[pAt + t] v[t][d]} over the first {@code n} positions. */
  public static void values(
      float[] values, int at, int width, float[] p, int pAt, int n, float[] out, int outAt) {
    Kernels.chosen().values(values, at, width, p, pAt, n, out, outAt);
  }

  /** The same of pairs of bfloat16. */
  public static void values(
      int[] values, int at, int width, float[] p, int pAt, int n, float[] out, int outAt) {
    Kernels.chosen().values(values, at, width, p, pAt, n, out, outAt);
  }

  /**
   * The same for {@link #QUERIES} rows of probabilities, {@code ldp} values apart; row {@code i} of
   * the output is at {@code outAt + i * width}.
   */
  public static void values(
      float[] values,
      int at,
      int width,
      float[] p,
      int pAt,
      int ldp,
      int n,
      float[] out,
      int outAt) {
    Kernels.chosen().values(values, at, width, p, pAt, ldp, n, out, outAt);
  }

  /** The same of pairs of bfloat16. */
  public static void values(
      int[] values, int at, int width, float[] p, int pAt, int ldp, int n, float[] out, int outAt) {
    Kernels.chosen().values(values, at, width, p, pAt, ldp, n, out, outAt);
  }
}
