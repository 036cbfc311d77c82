package dev.jneox.generate;

import static dev.jneox.tensor.Vectors.F;

import dev.jneox.model.ModelConfig;
import dev.jneox.model.Position;
import dev.jneox.tensor.Vectors;
import java.util.Arrays;

/**
 * Causal attention of one head at a time over the pages of a {@link KvSequence}: keys and values of new positions are stored,
 * then each new query sees all positions up to its own, or those in its window. What comes out for a query depends on nothing but
 * the text up to it: not on how many are computed at once, nor on who computes them.
 */
final class PagedAttention {
  private static final int QUERIES = KvFormat.QUERIES;

  /** What one thread writes to. */
  static final class Scratch {
    private float[] scores = {};
    private float[] out = {};
    private final float[] inverse = new float[QUERIES];
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

  /** To be called before {@link #head}, by one thread: positions up to {@code positions} will be needed. */
  void ensure(int positions) {
    if (rotary != null) {
      rotary.ensure(positions);
    }
  }

  /**
   * One head of {@code rows} consecutive positions.
   *
   * @param window how many positions a query sees, itself included; 0 is all
   * @param qkv query, key and value of the first row from {@code at} on; changed
   * @param ldq values from one row of {@code qkv} to the next
   * @param past positions of {@code text} before the first row
   * @param z where the outputs go, {@code headDim} values at {@code zAt + row * ldz}
   */
  void head(
      int layer, int head, int window, float[] qkv, int at, int ldq, int rows, KvSequence text, int past, float[] z, int zAt,
      int ldz, Scratch scratch) {
    int unit = format.at(layer, head);
    for (int r = 0; r < rows; r++) {
      int q = at + r * ldq;
      int position = past + r;
      if (rotary != null) {
        rotary.turn(qkv, q, position);
        rotary.turn(qkv, q + dims, position);
      }
      Vectors.multiply(qkv, q, scale, dims);
      format.store(text.page(position), unit, position % KvFormat.POSITIONS, qkv, q + dims, qkv, q + 2 * dims);
    }
    int r = 0;
    for (; r + QUERIES <= rows; r += QUERIES) {
      attend(unit, window, qkv, at + r * ldq, ldq, QUERIES, text, past + r, z, zAt + r * ldz, ldz, scratch);
    }
    for (; r < rows; r++) {
      attend(unit, window, qkv, at + r * ldq, ldq, 1, text, past + r, z, zAt + r * ldz, ldz, scratch);
    }
  }

  /** One query or {@link #QUERIES} of them, the first at {@code position}. */
  private void attend(
      int unit, int window, float[] q, int at, int ldq, int queries, KvSequence text, int position, float[] z, int zAt, int ldz,
      Scratch scratch) {
    int first = first(window, position) / KvFormat.POSITIONS * KvFormat.POSITIONS;
    int end = position + queries;
    int ld = Math.ceilDiv(end - first, KvFormat.POSITIONS) * KvFormat.POSITIONS;
    if (scratch.scores.length < queries * ld) {
      scratch.scores = new float[QUERIES * 2 * ld];
    }
    if (scratch.out.length == 0) {
      scratch.out = new float[QUERIES * format.padded];
    }
    float[] scores = scratch.scores;
    float[] out = scratch.out;
    for (int p = first; p < end; p += KvFormat.POSITIONS) {
      int vectors = Math.ceilDiv(Math.min(KvFormat.POSITIONS, end - p), F.length());
      if (queries == 1) {
        format.scores(text.page(p), unit, q, at, vectors, scores, p - first);
      } else {
        format.scores(text.page(p), unit, q, at, ldq, vectors, scores, p - first, ld);
      }
    }
    int n = end - first;
    for (int i = 0; i < queries; i++) {
      int row = i * ld;
      Arrays.fill(scores, row, row + first(window, position + i) - first, Float.NEGATIVE_INFINITY);
      Arrays.fill(scores, row + position + i + 1 - first, row + n, Float.NEGATIVE_INFINITY);
      scratch.inverse[i] = 1 / Vectors.expAndSum(scores, row, Vectors.max(scores, row, n), n);
    }
    Arrays.fill(out, 0, queries * format.padded, 0);
    for (int p = first; p < end; p += KvFormat.POSITIONS) {
      int seen = Math.min(KvFormat.POSITIONS, end - p);
      if (queries == 1) {
        format.values(text.page(p), unit, scores, p - first, seen, out);
      } else {
        format.values(text.page(p), unit, scores, p - first, ld, seen, out);
      }
    }
    for (int i = 0; i < queries; i++) {
      for (int d = 0; d < dims; d++) {
        z[zAt + i * ldz + d] = out[i * format.padded + d] * scratch.inverse[i];
      }
    }
  }

  /** The first position that the query at {@code position} sees. */
  private static int first(int window, int position) {
    return window == 0 ? 0 : Math.max(0, position - window + 1);
  }
}
