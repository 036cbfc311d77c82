package dev.jneox.train;

import java.util.Arrays;

/**
 * The core of causal attention in fp32, {@code z = softmax(q k^T / sqrt d) v} for every sequence and head, forward and backward, in
 * blocks of query rows that only meet the keys they may see (Dao et al. 2022, with whole rows of a block in cache instead of an
 * online softmax). The forward pass keeps one number a row, the logarithm of its sum of exponentials; the backward pass computes the
 * probabilities again. Matrices are {@code [tokens, heads * headDim]}; each sequence and head is one thread's work.
 */
final class CausalAttention {
  /** Query rows of a block: a multiple of {@link Sgemm}'s six. */
  private static final int ROWS = 48;

  private final int sequences;
  private final int length;
  private final int heads;
  private final int dim;
  private final int paddedDim;
  private final int stride; // of the matrices that have one column a position
  private final float scale;
  private final Scratch[] scratch;

  CausalAttention(int sequences, int length, int heads, int dim) {
    this.sequences = sequences;
    this.length = length;
    this.heads = heads;
    this.dim = dim;
    this.paddedDim = Sgemm.padded(dim);
    // Rows a power of two apart would share a few sets of the first-level cache and throw each other out.
    this.stride = Sgemm.padded(length) + Sgemm.COLUMNS / 2;
    this.scale = (float) (1 / Math.sqrt(dim));
    this.scratch = new Scratch[Workers.ALL.count()];
    for (int t = 0; t < scratch.length; t++) {
      scratch[t] = new Scratch();
    }
  }

  /** One head of one sequence, as arrays: rows are positions. Padding is zero and stays so. */
  private final class Scratch {
    final float[] q = rows();
    final float[] k = rows();
    final float[] v = rows();
    final float[] out = rows();
    final float[] outGradient = rows();
    final float[] dq = rows();
    final float[] dk = rows();
    final float[] dv = rows();
    final float[] kTransposed = new float[dim * stride];
    final float[] vTransposed = new float[dim * stride];
    final float[] scores = new float[ROWS * stride];
    final float[] gradients = new float[ROWS * stride];

    private float[] rows() {
      return new float[Sgemm.padded(length) * paddedDim];
    }
  }

  /** Sums of exponentials of a whole batch: {@code [sequences * heads * length]} logarithms. */
  float[] statistics() {
    return new float[sequences * heads * length];
  }

  /** Fills {@code z} and {@code logSums}. */
  void forward(Matrix q, Matrix k, Matrix v, Matrix z, float[] logSums) {
    Workers.ALL.forEach(
        sequences * heads,
        (from, to, thread) -> {
          for (int unit = from; unit < to; unit++) {
            forward(unit, scratch[thread], q, k, v, z, logSums);
          }
        });
  }

  private void forward(int unit, Scratch s, Matrix q, Matrix k, Matrix v, Matrix z, float[] logSums) {
    load(q, unit, s.q, scale);
    load(k, unit, s.k, 1);
    load(v, unit, s.v, 1);
    transpose(s.k, s.kTransposed);
    Arrays.fill(s.out, 0);
    for (int first = 0; first < length; first += ROWS) {
      int rows = Math.min(ROWS, length - first);
      int seen = first + rows;
      scores(s, first, rows);
      for (int i = 0; i < rows; i++) {
        int at = i * stride;
        int visible = first + i + 1;
        float max = Vectors.max(s.scores, at, visible);
        float sum = Vectors.expAndSum(s.scores, at, max, visible);
        Vectors.multiply(s.scores, at, 1 / sum, visible);
        Arrays.fill(s.scores, at + visible, at + Sgemm.padded(seen), 0);
        logSums[unit * length + first + i] = max + (float) Math.log(sum);
      }
      Sgemm.multiply(
          rows, paddedDim, seen, s.scores, 0, stride, 1, s.v, 0, paddedDim, s.out, first * paddedDim, paddedDim);
    }
    store(z, unit, s.out, 1);
  }

  /** From the gradient of z to those of q, k and v. */
  void backward(
      Matrix q, Matrix k, Matrix v, Matrix z, float[] logSums, Matrix dz, Matrix dq, Matrix dk, Matrix dv) {
    Workers.ALL.forEach(
        sequences * heads,
        (from, to, thread) -> {
          for (int unit = from; unit < to; unit++) {
            backward(unit, scratch[thread], q, k, v, z, logSums, dz, dq, dk, dv);
          }
        });
  }

  private void backward(
      int unit, Scratch s, Matrix q, Matrix k, Matrix v, Matrix z, float[] logSums, Matrix dz, Matrix dq, Matrix dk, Matrix dv) {
    load(q, unit, s.q, scale);
    load(k, unit, s.k, 1);
    load(v, unit, s.v, 1);
    load(z, unit, s.out, 1);
    load(dz, unit, s.outGradient, 1);
    transpose(s.k, s.kTransposed);
    transpose(s.v, s.vTransposed);
    Arrays.fill(s.dq, 0);
    Arrays.fill(s.dk, 0);
    Arrays.fill(s.dv, 0);
    for (int first = 0; first < length; first += ROWS) {
      int rows = Math.min(ROWS, length - first);
      int seen = first + rows;
      scores(s, first, rows);
      clear(s.gradients, rows, seen);
      Sgemm.multiply(
          rows, Sgemm.padded(seen), dim, s.outGradient, first * paddedDim, paddedDim, 1, s.vTransposed, 0, stride,
          s.gradients, 0, stride);
      for (int i = 0; i < rows; i++) {
        int at = i * stride;
        int visible = first + i + 1;
        int row = (first + i) * paddedDim;
        float projection = Vectors.dot(s.out, row, s.outGradient, row, dim);
        Vectors.softmaxBackward(s.scores, s.gradients, at, logSums[unit * length + first + i], projection, visible);
        Arrays.fill(s.scores, at + visible, at + Sgemm.padded(seen), 0);
        Arrays.fill(s.gradients, at + visible, at + Sgemm.padded(seen), 0);
      }
      int block = first * paddedDim;
      Sgemm.multiply(
          rows, paddedDim, seen, s.gradients, 0, stride, 1, s.k, 0, paddedDim, s.dq, block, paddedDim);
      Sgemm.multiply(
          seen, paddedDim, rows, s.gradients, 0, 1, stride, s.q, block, paddedDim, s.dk, 0, paddedDim);
      Sgemm.multiply(
          seen, paddedDim, rows, s.scores, 0, 1, stride, s.outGradient, block, paddedDim, s.dv, 0, paddedDim);
    }
    store(dq, unit, s.dq, scale);
    store(dk, unit, s.dk, 1);
    store(dv, unit, s.dv, 1);
  }

  /** The scores of query rows {@code first} on against every key up to the last of them. */
  private void scores(Scratch s, int first, int rows) {
    clear(s.scores, rows, first + rows);
    Sgemm.multiply(
        rows, Sgemm.padded(first + rows), dim, s.q, first * paddedDim, paddedDim, 1, s.kTransposed, 0, stride,
        s.scores, 0, stride);
  }

  private void clear(float[] block, int rows, int columns) {
    for (int i = 0; i < rows; i++) {
      Arrays.fill(block, i * stride, i * stride + Sgemm.padded(columns), 0);
    }
  }

  private void load(Matrix m, int unit, float[] into, float factor) {
    int column = unit % heads * dim;
    int row = unit / heads * length;
    for (int p = 0; p < length; p++) {
      m.load(row + p, column, into, p * paddedDim, dim);
    }
    if (factor != 1) {
      Vectors.multiply(into, 0, factor, into.length);
    }
  }

  private void store(Matrix m, int unit, float[] from, float factor) {
    if (factor != 1) {
      Vectors.multiply(from, 0, factor, from.length);
    }
    int column = unit % heads * dim;
    int row = unit / heads * length;
    for (int p = 0; p < length; p++) {
      m.store(row + p, column, from, p * paddedDim, dim);
    }
  }

  private void transpose(float[] from, float[] into) {
    for (int p = 0; p < length; p++) {
      for (int d = 0; d < dim; d++) {
        into[d * stride + p] = from[p * paddedDim + d];
      }
    }
  }
}
