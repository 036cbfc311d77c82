package dev.jneox.generate;

import static dev.jneox.tensor.Vectors.F;

import dev.jneox.model.ModelConfig;
import dev.jneox.model.Position;
import dev.jneox.tensor.Vectors;
import java.util.Arrays;

/**
 * Causal attention over the pages of a {@link KvSequence}: keys and values of new positions are
 * stored, then each new query sees all positions up to its own, or those in its window. What comes
 * out for a query depends on nothing but the text up to it: not on how many are computed at once,
 * nor on who computes them.
 */
final class PagedAttention {
  private static final int QUERIES = KvFormat.QUERIES;
  private static final int POSITIONS = KvFormat.POSITIONS;

  /** What one thread writes to. */
  static final class Scratch {
    private float[] scores = {};
    private float[] out = {};

    private void ensure(int scored, int written) {
      if (scores.length < scored) {
        scores = new float[2 * scored];
      }
      if (out.length < written) {
        out = new float[written];
      }
    }
  }

  private final KvFormat format;
  private final RotaryTable rotary; // null where positions are learned
  private final int dims;
  private final float scale;

  PagedAttention(ModelConfig config, KvFormat format) {
    this.format = format;
    this.rotary = config.position() instanceof Position.Rotary r ? new RotaryTable(r) : null;
    this.dims = config.headDim();
    this.scale = config.scaledAttention() ? (float) (1 / Math.sqrt(dims)) : 1;
  }

  /**
   * To be called before {@link #heads}, by one thread: positions up to {@code positions} will be
   * needed.
   */
  void ensure(int positions) {
    if (rotary != null) {
      rotary.ensure(positions);
    }
  }

  /**
   * Some neighbouring heads of {@code rows} consecutive positions.
   *
   * @param from the first head
   * @param to the head after the last
   * @param window how many positions a query sees, itself included; 0 is all
   * @param qkv query, key and value of head 0 in the first row from {@code at} on, then those of
   *     head 1; changed
   * @param ldq values from one row of {@code qkv} to the next
   * @param past positions of {@code text} before the first row
   * @param z where the outputs go, {@code headDim} values at {@code zAt + row * ldz + head *
   *     headDim}
   */
  void heads(
      int layer,
      int from,
      int to,
      int window,
      float[] qkv,
      int at,
      int ldq,
      int rows,
      KvSequence text,
      int past,
      float[] z,
      int zAt,
      int ldz,
      Scratch scratch) {
    for (int head = from; head < to; head++) {
      for (int r = 0; r < rows; r++) {
        store(layer, head, qkv, at + r * ldq + 3 * head * dims, text, past + r);
      }
    }
    int blocks = rows / QUERIES * QUERIES;
    for (int head = from; head < to; head++) {
      for (int r = 0; r < blocks; r += QUERIES) {
        int q = at + r * ldq + 3 * head * dims;
        queries(
            layer,
            head,
            window,
            qkv,
            q,
            ldq,
            text,
            past + r,
            z,
            zAt + r * ldz + head * dims,
            ldz,
            scratch);
      }
    }
    for (int r = blocks; r < rows; r++) {
      query(layer, from, to, window, qkv, at + r * ldq, text, past + r, z, zAt + r * ldz, scratch);
    }
  }

  /**
   * Turns query and key by their position, scales the query, and puts key and value into their
   * page.
   */
  private void store(int layer, int head, float[] qkv, int q, KvSequence text, int position) {
    if (rotary != null) {
      rotary.turn(qkv, q, position);
      rotary.turn(qkv, q + dims, position);
    }
    Vectors.multiply(qkv, q, scale, dims);
    KvPage page = text.page(position);
    format.storeKey(page, format.keys(layer, head), position % POSITIONS, qkv, q + dims);
    format.storeValue(page, format.values(layer, head), position % POSITIONS, qkv, q + 2 * dims);
  }

  /**
   * One query in some heads. It waits for memory, so all heads' keys on a page are read before any
   * on the next, then the values.
   */
  private void query(
      int layer,
      int from,
      int to,
      int window,
      float[] qkv,
      int at,
      KvSequence text,
      int position,
      float[] z,
      int zAt,
      Scratch scratch) {
    int first = first(window, position) / POSITIONS * POSITIONS;
    int end = position + 1;
    int ld = Math.ceilDiv(end - first, POSITIONS) * POSITIONS;
    scratch.ensure((to - from) * ld, (to - from) * format.padded);
    float[] scores = scratch.scores;
    float[] out = scratch.out;
    for (int p = first; p < end; p += POSITIONS) {
      int vectors = Math.ceilDiv(Math.min(POSITIONS, end - p), F.length());
      KvPage page = text.page(p);
      for (int head = from; head < to; head++) {
        int q = at + 3 * head * dims;
        format.scores(
            page,
            format.keys(layer, head),
            qkv,
            q,
            vectors,
            scores,
            (head - from) * ld + p - first);
      }
    }
    int hidden = first(window, position) - first;
    int n = end - first;
    for (int head = from; head < to; head++) {
      int row = (head - from) * ld;
      Arrays.fill(scores, row, row + hidden, Float.NEGATIVE_INFINITY);
      float sum = Vectors.expAndSum(scores, row, Vectors.max(scores, row, n), n);
      Vectors.multiply(scores, row, 1 / sum, n);
    }
    Arrays.fill(out, 0, (to - from) * format.padded, 0);
    for (int p = first; p < end; p += POSITIONS) {
      int seen = Math.min(POSITIONS, end - p);
      KvPage page = text.page(p);
      for (int head = from; head < to; head++) {
        int i = head - from;
        format.values(
            page,
            format.values(layer, head),
            scores,
            i * ld + p - first,
            seen,
            out,
            i * format.padded);
      }
    }
    for (int head = from; head < to; head++) {
      System.arraycopy(out, (head - from) * format.padded, z, zAt + head * dims, dims);
    }
  }

  /** {@link #QUERIES} queries of one head, the first at {@code position}, that share the reads. */
  private void queries(
      int layer,
      int head,
      int window,
      float[] q,
      int at,
      int ldq,
      KvSequence text,
      int position,
      float[] z,
      int zAt,
      int ldz,
      Scratch scratch) {
    int first = first(window, position) / POSITIONS * POSITIONS;
    int end = position + QUERIES;
    int ld = Math.ceilDiv(end - first, POSITIONS) * POSITIONS;
    scratch.ensure(QUERIES * ld, QUERIES * format.padded);
    float[] scores = scratch.scores;
    float[] out = scratch.out;
    for (int p = first; p < end; p += POSITIONS) {
      int vectors = Math.ceilDiv(Math.min(POSITIONS, end - p), F.length());
      format.scores(
          text.page(p), format.keys(layer, head), q, at, ldq, vectors, scores, p - first, ld);
    }
    int n = end - first;
    for (int i = 0; i < QUERIES; i++) {
      int row = i * ld;
      Arrays.fill(scores, row, row + first(window, position + i) - first, Float.NEGATIVE_INFINITY);
      Arrays.fill(scores, row + position + i + 1 - first, row + n, Float.NEGATIVE_INFINITY);
      float sum = Vectors.expAndSum(scores, row, Vectors.max(scores, row, n), n);
      Vectors.multiply(scores, row, 1 / sum, n);
    }
    Arrays.fill(out, 0, QUERIES * format.padded, 0);
    for (int p = first; p < end; p += POSITIONS) {
      int seen = Math.min(POSITIONS, end - p);
      format.values(text.page(p), format.values(layer, head), scores, p - first, ld, seen, out);
    }
    for (int i = 0; i < QUERIES; i++) {
      System.arraycopy(out, i * format.padded, z, zAt + i * ldz, dims);
    }
  }

  /** The first position that the query at {@code position} sees. */
  private static int first(int window, int position) {
    return window == 0 ? 0 : Math.max(0, position - window + 1);
  }
}
