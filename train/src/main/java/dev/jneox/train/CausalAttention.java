package dev.jneox.train;

import dev.jneox.kernel.Lanes;
import dev.jneox.kernel.Vectors;
import dev.jneox.kernel.Workers;
import dev.jneox.model.Attention;
import dev.jneox.model.HeadLayout;
import dev.jneox.model.Position;
import dev.jneox.torch.Matrix;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import org.jspecify.annotations.Nullable;

/**
 * Computes what causal attention does between its two linear maps, in fp32, forward and backward.
 * Its input is the product {@code [tokens, fusedWidth]}: all queries, all keys, all values. It adds
 * the bias, rotates queries and keys, and computes {@code z = softmax(q k^T * scale) v} for every
 * sequence and head. A query sees all keys up to its own position or, with a {@code window} above
 * 0, the latest {@code window} of them.
 *
 * <p>A block of query rows is multiplied only by keys that at least one of them sees (Dao et al.
 * 2022, with whole rows of scores in cache instead of an online softmax). The forward pass keeps
 * one number per row, the logarithm of its sum of exponentials; the backward pass computes the
 * probabilities again. One thread works on a sequence and a key head with the query heads that
 * share it.
 */
final class CausalAttention {
  /** Query rows of a block: a multiple of {@link Sgemm}'s six. */
  private static final int ROWS = 48;

  private final int sequences;
  private final int length;
  private final int heads;
  private final int kvHeads;
  private final HeadLayout layout;
  private final int dim;
  private final int paddedDim;
  private final int stride; // of the matrices that have a column per position
  private final float scale;
  private final int half; // of the rotary dimensions; 0 without rotary positions
  private final boolean interleaved;
  private final float[] cos; // [length, half]
  private final float[] sin;
  private final Scratch[] scratch;

  /** Ignores the window of {@code attention}: layers that differ in it alone share an instance. */
  CausalAttention(Attention attention, int sequences, int length) {
    this.sequences = sequences;
    this.length = length;
    this.heads = attention.heads();
    this.kvHeads = attention.kvHeads();
    this.layout = HeadLayout.concatenated(attention);
    this.dim = attention.headDim();
    this.paddedDim = Sgemm.padded(dim);
    // Rows a power of two apart would map to a few sets of the first-level cache and evict each
    // other.
    this.stride = Sgemm.padded(length) + Sgemm.COLUMNS / 2;
    this.scale = (float) attention.scale();
    Position.Rotary rotary =
        switch (attention.position()) {
          case Position.Rotary turned -> turned;
          case Position.None _ -> null;
        };
    this.half = rotary == null ? 0 : rotary.dims() / 2;
    this.interleaved = rotary != null && rotary.interleaved();
    this.cos = new float[length * half];
    this.sin = new float[length * half];
    if (rotary != null) {
      for (int p = 0; p < length; p++) {
        for (int i = 0; i < half; i++) {
          float angle = rotary.angle(p, i);
          cos[p * half + i] = (float) Math.cos(angle);
          sin[p * half + i] = (float) Math.sin(angle);
        }
      }
    }
    this.scratch = new Scratch[Workers.all().count()];
    for (int t = 0; t < scratch.length; t++) {
      scratch[t] = new Scratch();
    }
  }

  /**
   * Holds one query head of one sequence, and its key and value; rows are positions. Padding is
   * zero and stays zero.
   */
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
    final float[] sums = new float[ROWS];

    private float[] rows() {
      return new float[Sgemm.padded(length) * paddedDim];
    }
  }

  /**
   * Computes {@code z} and the logarithms of the softmax's sums.
   *
   * @param bias of the fused product; null for none
   * @param z gets {@code [tokens, queryWidth]}
   * @param logSums gets {@code [sequences, heads, length]}
   */
  void forward(Matrix fused, @Nullable MemorySegment bias, int window, Matrix z, float[] logSums) {
    float[] b = Kernels.bias(bias, fused.cols);
    Workers.all()
        .forEach(
            sequences * kvHeads,
            (from, to, thread) -> {
              for (int unit = from; unit < to; unit++) {
                forward(unit, scratch[thread], fused, b, window, z, logSums);
              }
            });
  }

  private void forward(
      int unit, Scratch s, Matrix fused, float[] bias, int window, Matrix z, float[] logSums) {
    int row = unit / kvHeads * length;
    int shared = unit % kvHeads;
    loadKeys(fused, bias, row, shared, s);
    transpose(s.k, s.kTransposed);
    for (int head = firstHead(shared); head < firstHead(shared + 1); head++) {
      loadQueries(fused, bias, row, head, s);
      int logSum = (unit / kvHeads * heads + head) * length;
      forward(s, window, logSums, logSum);
      store(z, row, head, s.out);
    }
  }

  /** Returns the first query head that reads a key head. */
  private int firstHead(int shared) {
    return shared * (heads / kvHeads);
  }

  private void forward(Scratch s, int window, float[] logSums, int logSum) {
    Arrays.fill(s.out, 0);
    for (int first = 0; first < length; first += ROWS) {
      int rows = Math.min(ROWS, length - first);
      int low = low(first, window);
      int seen = first + rows - low;
      scores(s, first, rows, low);
      exponentials(s, first, rows, window, logSums, logSum + first);
      Sgemm.multiply(
          rows,
          paddedDim,
          seen,
          s.scores,
          low,
          stride,
          1,
          s.v,
          low * paddedDim,
          paddedDim,
          s.out,
          first * paddedDim,
          paddedDim);
      for (int i = 0; i < rows; i++) {
        Vectors.multiply(s.out, (first + i) * paddedDim, 1 / s.sums[i], dim);
      }
    }
  }

  /**
   * Replaces scores by their exponentials, and keeps the sums and their logarithms. The softmax's
   * division is done on z, which is smaller.
   */
  private void exponentials(
      Scratch s, int first, int rows, int window, float[] logSums, int logSum) {
    for (int i = 0; i < rows; i++) {
      int from = firstKey(first + i, window);
      int at = i * stride + from;
      int visible = first + i + 1 - from;
      float max = Vectors.max(s.scores, at, visible);
      float sum = Vectors.expAndSum(s.scores, at, max, visible);
      s.sums[i] = sum;
      hide(s.scores, first, rows, i, window);
      logSums[logSum + i] = max + (float) Math.log(sum);
    }
  }

  /**
   * Replaces the fused product by its gradient, computed from that of {@code z}.
   *
   * @param dz gradient of {@code z}
   * @param biasGradient gets the column sums added; null for none
   */
  void backward(
      Matrix fused,
      @Nullable MemorySegment bias,
      int window,
      Matrix z,
      float[] logSums,
      Matrix dz,
      @Nullable MemorySegment biasGradient) {
    float[] b = Kernels.bias(bias, fused.cols);
    float[][] sums = Kernels.sums(fused.cols);
    Workers.all()
        .forEach(
            sequences * kvHeads,
            (from, to, thread) -> {
              for (int unit = from; unit < to; unit++) {
                backward(unit, scratch[thread], fused, b, window, z, logSums, dz, sums[thread]);
              }
            });
    Kernels.flush(sums, biasGradient, fused.cols);
  }

  private void backward(
      int unit,
      Scratch s,
      Matrix fused,
      float[] bias,
      int window,
      Matrix z,
      float[] logSums,
      Matrix dz,
      float[] sums) {
    int row = unit / kvHeads * length;
    int shared = unit % kvHeads;
    loadKeys(fused, bias, row, shared, s);
    transpose(s.k, s.kTransposed);
    transpose(s.v, s.vTransposed);
    Arrays.fill(s.dk, 0);
    Arrays.fill(s.dv, 0);
    for (int head = firstHead(shared); head < firstHead(shared + 1); head++) {
      loadQueries(fused, bias, row, head, s);
      load(z, row, head, s.out);
      load(dz, row, head, s.outGradient);
      Arrays.fill(s.dq, 0);
      int logSum = (unit / kvHeads * heads + head) * length;
      backward(s, window, logSums, logSum);
      Vectors.multiply(s.dq, 0, scale, s.dq.length);
      turn(s.dq, -1);
      storeAndSum(s.dq, row, layout.queryAt(head), fused, sums);
    }
    turn(s.dk, -1);
    storeAndSum(s.dk, row, layout.keyAt(shared), fused, sums);
    storeAndSum(s.dv, row, layout.valueAt(shared), fused, sums);
  }

  private void backward(Scratch s, int window, float[] logSums, int logSum) {
    for (int first = 0; first < length; first += ROWS) {
      int rows = Math.min(ROWS, length - first);
      int low = low(first, window);
      int seen = first + rows - low;
      scores(s, first, rows, low);
      clear(s.gradients, rows, low, seen);
      Sgemm.multiply(
          rows,
          Sgemm.padded(seen),
          dim,
          s.outGradient,
          first * paddedDim,
          paddedDim,
          1,
          s.vTransposed,
          low,
          stride,
          s.gradients,
          low,
          stride);
      softmaxBackward(s, first, rows, window, logSums, logSum + first);
      int block = first * paddedDim;
      int keys = low * paddedDim;
      Sgemm.multiply(
          rows,
          paddedDim,
          seen,
          s.gradients,
          low,
          stride,
          1,
          s.k,
          keys,
          paddedDim,
          s.dq,
          block,
          paddedDim);
      Sgemm.multiply(
          seen,
          paddedDim,
          rows,
          s.gradients,
          low,
          1,
          stride,
          s.q,
          block,
          paddedDim,
          s.dk,
          keys,
          paddedDim);
      Sgemm.multiply(
          seen,
          paddedDim,
          rows,
          s.scores,
          low,
          1,
          stride,
          s.outGradient,
          block,
          paddedDim,
          s.dv,
          keys,
          paddedDim);
    }
  }

  /** Replaces scores by probabilities, and the probabilities' gradients by those of the scores. */
  private void softmaxBackward(
      Scratch s, int first, int rows, int window, float[] logSums, int logSum) {
    for (int i = 0; i < rows; i++) {
      int from = firstKey(first + i, window);
      int row = (first + i) * paddedDim;
      float projection = Vectors.dot(s.out, row, s.outGradient, row, dim);
      Vectors.softmaxBackward(
          s.scores,
          s.gradients,
          i * stride + from,
          logSums[logSum + i],
          projection,
          first + i + 1 - from);
      hide(s.scores, first, rows, i, window);
      hide(s.gradients, first, rows, i, window);
    }
  }

  /** Returns the first key that the query at {@code position} sees. */
  private static int firstKey(int position, int window) {
    return window == 0 ? 0 : Math.max(0, position - window + 1);
  }

  /**
   * Returns the first key that a block of queries is multiplied by; none of them sees an earlier.
   */
  private static int low(int first, int window) {
    return firstKey(first, window) / Sgemm.COLUMNS * Sgemm.COLUMNS;
  }

  /** Sets to zero in row {@code i} of a block the keys that its query does not see. */
  private void hide(float[] block, int first, int rows, int i, int window) {
    int low = low(first, window);
    int at = i * stride;
    Arrays.fill(block, at + low, at + firstKey(first + i, window), 0);
    Arrays.fill(block, at + first + i + 1, at + low + Sgemm.padded(first + rows - low), 0);
  }

  /**
   * Computes the scores of {@code rows} queries from {@code first} on, for the keys from {@code
   * low} to the position of the last query.
   */
  private void scores(Scratch s, int first, int rows, int low) {
    int seen = first + rows - low;
    clear(s.scores, rows, low, seen);
    Sgemm.multiply(
        rows,
        Sgemm.padded(seen),
        dim,
        s.q,
        first * paddedDim,
        paddedDim,
        1,
        s.kTransposed,
        low,
        stride,
        s.scores,
        low,
        stride);
  }

  private void clear(float[] block, int rows, int low, int columns) {
    for (int i = 0; i < rows; i++) {
      Arrays.fill(block, i * stride + low, i * stride + low + Sgemm.padded(columns), 0);
    }
  }

  /** Copies a query head from the fused product; adds the bias, rotates and scales. */
  private void loadQueries(Matrix fused, float[] bias, int row, int head, Scratch s) {
    load(fused, bias, row, layout.queryAt(head), s.q);
    turn(s.q, 1);
    Vectors.multiply(s.q, 0, scale, s.q.length);
  }

  /**
   * Copies a key head and its values from the fused product; adds the bias and rotates the keys.
   */
  private void loadKeys(Matrix fused, float[] bias, int row, int head, Scratch s) {
    load(fused, bias, row, layout.keyAt(head), s.k);
    turn(s.k, 1);
    load(fused, bias, row, layout.valueAt(head), s.v);
  }

  private void load(Matrix fused, float[] bias, int row, int column, float[] into) {
    for (int p = 0; p < length; p++) {
      fused.load(row + p, column, into, p * paddedDim, dim);
      Vectors.add(into, p * paddedDim, bias, column, dim);
    }
  }

  private void storeAndSum(float[] from, int row, int column, Matrix fused, float[] sums) {
    for (int p = 0; p < length; p++) {
      Vectors.add(sums, column, from, p * paddedDim, dim);
      fused.store(row + p, column, from, p * paddedDim, dim);
    }
  }

  /** Rotates every row by the angles of its position; with direction -1, back. */
  private void turn(float[] rows, int direction) {
    for (int p = 0; p < length; p++) {
      turn(rows, p * paddedDim, p, direction);
    }
  }

  /**
   * Rotates the pairs (i, i + half), or (2i, 2i + 1), from {@code at} on by the angles of {@code
   * position}.
   */
  private void turn(float[] row, int at, int position, int direction) {
    int angle = position * half;
    // Two loops: one with a variable step would not be vectorised.
    if (interleaved) {
      for (int i = 0; i < half; i++) {
        float c = cos[angle + i];
        float d = direction * sin[angle + i];
        float a = row[at + 2 * i];
        float b = row[at + 2 * i + 1];
        row[at + 2 * i] = a * c - b * d;
        row[at + 2 * i + 1] = b * c + a * d;
      }
      return;
    }
    for (int i = 0; i < half; i++) {
      float c = cos[angle + i];
      float d = direction * sin[angle + i];
      float a = row[at + i];
      float b = row[at + half + i];
      row[at + i] = a * c - b * d;
      row[at + half + i] = b * c + a * d;
    }
  }

  private void load(Matrix m, int row, int head, float[] into) {
    for (int p = 0; p < length; p++) {
      m.load(row + p, head * dim, into, p * paddedDim, dim);
    }
  }

  private void store(Matrix m, int row, int head, float[] from) {
    for (int p = 0; p < length; p++) {
      m.store(row + p, head * dim, from, p * paddedDim, dim);
    }
  }

  private void transpose(float[] from, float[] into) {
    int[] column = new int[Lanes.F.length()];
    Arrays.setAll(column, lane -> lane * paddedDim);
    int whole = Lanes.F.loopBound(length);
    for (int d = 0; d < dim; d++) {
      for (int p = 0; p < whole; p += Lanes.F.length()) {
        FloatVector.fromArray(Lanes.F, from, p * paddedDim + d, column, 0)
            .intoArray(into, d * stride + p);
      }
      for (int p = whole; p < length; p++) {
        into[d * stride + p] = from[p * paddedDim + d];
      }
    }
  }
}
