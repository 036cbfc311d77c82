package dev.jneox.infer;

import dev.jneox.kernel.Vectors;
import dev.jneox.model.Attention;
import dev.jneox.model.HeadLayout;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Computes causal attention of one layer over the pages of a {@link KvSequence}: keys and values of
 * new positions are stored, then each new query sees all positions up to its own, or those in its
 * window. The output for a query depends on nothing but the sequence up to it: neither on how many
 * are computed at once, nor on the thread that does.
 *
 * <p>Heads are counted by keys and values; the queries of all heads that share them are computed
 * together, so that they are read once.
 */
final class PagedAttention {
  private static final int QUERIES = KvFormat.QUERIES;
  private static final int POSITIONS = KvFormat.POSITIONS;

  /** Memory that one thread writes to. */
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
  private final int layer;
  private final HeadLayout layout;
  private final @Nullable RotaryTable rotary; // null where there is none
  private final int heads;
  private final int group; // query heads of a head
  private final int window;
  private final int dims;
  private final float scale;

  /**
   * @param layout of the rows of queries, keys and values
   * @param rotary of the layer's kind, or null
   */
  PagedAttention(
      Attention attention,
      int layer,
      HeadLayout layout,
      KvFormat format,
      @Nullable RotaryTable rotary) {
    this.format = format;
    this.layer = layer;
    this.layout = layout;
    this.rotary = rotary;
    this.heads = attention.kvHeads();
    this.group = attention.groupSize();
    this.window = attention.window();
    this.dims = attention.headDim();
    this.scale = (float) attention.scale();
  }

  /**
   * Computes some neighbouring heads of {@code rows} consecutive positions.
   *
   * @param from the first head
   * @param to the head after the last
   * @param qkv rows of queries, keys and values, the first at {@code at}; changed
   * @param ldq values from one row of {@code qkv} to the next
   * @param past positions of {@code sequence} before the first row
   * @param z where the outputs go, {@code headDim} values at {@code zAt + row * ldz + query head *
   *     headDim}
   */
  void heads(
      int from,
      int to,
      float[] qkv,
      int at,
      int ldq,
      int rows,
      KvSequence sequence,
      int past,
      float[] z,
      int zAt,
      int ldz,
      Scratch scratch) {
    for (int head = from; head < to; head++) {
      for (int r = 0; r < rows; r++) {
        rotate(head, qkv, at + r * ldq, past + r);
        store(head, qkv, at + r * ldq, sequence, past + r);
      }
    }
    attend(from, to, qkv, at, ldq, rows, sequence, past, z, zAt, ldz, scratch);
  }

  /** Rotates the key and the queries of a head by their position. */
  private void rotate(int head, float[] qkv, int row, int position) {
    if (rotary == null) {
      return;
    }
    for (int query = head * group; query < (head + 1) * group; query++) {
      rotary.rotate(qkv, row + layout.queryAt(query), position);
    }
    rotary.rotate(qkv, row + layout.keyAt(head), position);
  }

  /** Scales the queries of a head, and puts its key and value into their page. */
  private void store(int head, float[] qkv, int row, KvSequence sequence, int position) {
    for (int query = head * group; query < (head + 1) * group; query++) {
      Vectors.multiply(qkv, row + layout.queryAt(query), scale, dims);
    }
    KvPage page = sequence.page(position);
    int place = position % POSITIONS;
    format.storeKey(page, format.keys(layer, head), place, qkv, row + layout.keyAt(head));
    format.storeValue(page, format.values(layer, head), place, qkv, row + layout.valueAt(head));
  }

  /** Rotates all heads of a row. */
  void rotate(float[] qkv, int row, int position) {
    for (int head = 0; head < heads; head++) {
      rotate(head, qkv, row, position);
    }
  }

  /** Scales the queries of a row, and puts its keys and values into their page. */
  void store(float[] qkv, int row, KvSequence sequence, int position) {
    for (int head = 0; head < heads; head++) {
      store(head, qkv, row, sequence, position);
    }
  }

  /** Takes the rows of all query heads, {@code ld} values apart, and may change them. */
  @FunctionalInterface
  interface Look {
    void at(float[] rows, int ld);
  }

  /**
   * Computes all heads of one position that was stored, and shows its scores and probabilities:
   * {@code position + 1} of each query head.
   */
  void attend(
      float[] qkv,
      int row,
      KvSequence sequence,
      int position,
      float[] z,
      int zAt,
      Scratch scratch,
      Look atScores,
      Look atProbabilities) {
    int end = position + 1;
    int ld = Math.ceilDiv(end, POSITIONS) * POSITIONS;
    int queries = heads * group;
    scratch.ensure(queries * ld, queries * format.padded);
    float[] scores = scratch.scores;
    scores(0, heads, qkv, row, sequence, 0, end, scores, ld);
    for (int i = 0; i < queries; i++) {
      Arrays.fill(scores, i * ld, i * ld + first(position), Float.NEGATIVE_INFINITY);
    }
    atScores.at(scores, ld);
    for (int i = 0; i < queries; i++) {
      softmax(scores, i * ld, end);
    }
    atProbabilities.at(scores, ld);
    values(0, heads, scores, ld, sequence, 0, end, scratch.out);
    for (int i = 0; i < queries; i++) {
      System.arraycopy(scratch.out, i * format.padded, z, zAt + i * dims, dims);
    }
  }

  /** Computes {@link #heads} of rows that were rotated and stored. */
  void attend(
      int from,
      int to,
      float[] qkv,
      int at,
      int ldq,
      int rows,
      KvSequence sequence,
      int past,
      float[] z,
      int zAt,
      int ldz,
      Scratch scratch) {
    int blocks = rows / QUERIES * QUERIES;
    for (int head = from; head < to; head++) {
      for (int r = 0; r < blocks; r += QUERIES) {
        queries(head, qkv, at + r * ldq, ldq, sequence, past + r, z, zAt + r * ldz, ldz, scratch);
      }
    }
    for (int r = blocks; r < rows; r++) {
      query(from, to, qkv, at + r * ldq, sequence, past + r, z, zAt + r * ldz, scratch);
    }
  }

  /**
   * Computes one position in some heads. It waits for memory, so all heads' keys on a page are read
   * before any on the next, then the values.
   */
  private void query(
      int from,
      int to,
      float[] qkv,
      int row,
      KvSequence sequence,
      int position,
      float[] z,
      int zAt,
      Scratch scratch) {
    int first = first(position) / POSITIONS * POSITIONS;
    int end = position + 1;
    int ld = Math.ceilDiv(end - first, POSITIONS) * POSITIONS;
    int queries = (to - from) * group;
    scratch.ensure(queries * ld, queries * format.padded);
    scores(from, to, qkv, row, sequence, first, end, scratch.scores, ld);
    int hidden = first(position) - first;
    for (int i = 0; i < queries; i++) {
      Arrays.fill(scratch.scores, i * ld, i * ld + hidden, Float.NEGATIVE_INFINITY);
      softmax(scratch.scores, i * ld, end - first);
    }
    values(from, to, scratch.scores, ld, sequence, first, end, scratch.out);
    for (int i = 0; i < queries; i++) {
      System.arraycopy(scratch.out, i * format.padded, z, zAt + (from * group + i) * dims, dims);
    }
  }

  /** Scores positions from {@code first} on, which begins a page, for one query in some heads. */
  private void scores(
      int from,
      int to,
      float[] qkv,
      int row,
      KvSequence sequence,
      int first,
      int end,
      float[] scores,
      int ld) {
    for (int p = first; p < end; p += POSITIONS) {
      int seen = Math.min(POSITIONS, end - p);
      KvPage page = sequence.page(p);
      for (int head = from; head < to; head++) {
        int keys = format.keys(layer, head);
        int q = row + layout.queryAt(head * group);
        int out = (head - from) * group * ld + p - first;
        int g = 0;
        for (; g + QUERIES <= group; g += QUERIES) {
          int at = q + g * layout.queryStride();
          format.scores(page, keys, qkv, at, layout.queryStride(), seen, scores, out + g * ld, ld);
        }
        for (; g < group; g++) {
          format.scores(page, keys, qkv, q + g * layout.queryStride(), seen, scores, out + g * ld);
        }
      }
    }
  }

  private static void softmax(float[] scores, int at, int n) {
    float sum = Vectors.expAndSum(scores, at, Vectors.max(scores, at, n), n);
    Vectors.multiply(scores, at, 1 / sum, n);
  }

  /** Sums values by the probabilities that {@link #scores} became. */
  private void values(
      int from,
      int to,
      float[] probabilities,
      int ld,
      KvSequence sequence,
      int first,
      int end,
      float[] out) {
    int padded = format.padded;
    Arrays.fill(out, 0, (to - from) * group * padded, 0);
    for (int p = first; p < end; p += POSITIONS) {
      int seen = Math.min(POSITIONS, end - p);
      KvPage page = sequence.page(p);
      for (int head = from; head < to; head++) {
        int values = format.values(layer, head);
        int i = (head - from) * group;
        int last = i + group;
        for (; i + QUERIES <= last; i += QUERIES) {
          format.values(page, values, probabilities, i * ld + p - first, ld, seen, out, i * padded);
        }
        for (; i < last; i++) {
          format.values(page, values, probabilities, i * ld + p - first, seen, out, i * padded);
        }
      }
    }
  }

  /**
   * Computes {@link #QUERIES} positions of one head, from {@code position} on, that share reads.
   */
  private void queries(
      int head,
      float[] qkv,
      int row,
      int ldq,
      KvSequence sequence,
      int position,
      float[] z,
      int zAt,
      int ldz,
      Scratch scratch) {
    int first = first(position) / POSITIONS * POSITIONS;
    int end = position + QUERIES;
    int ld = Math.ceilDiv(end - first, POSITIONS) * POSITIONS;
    int block = QUERIES * ld;
    int padded = format.padded;
    scratch.ensure(group * block, group * QUERIES * padded);
    float[] scores = scratch.scores;
    float[] out = scratch.out;
    for (int p = first; p < end; p += POSITIONS) {
      int seen = Math.min(POSITIONS, end - p);
      KvPage page = sequence.page(p);
      for (int g = 0; g < group; g++) {
        int q = row + layout.queryAt(head * group + g);
        format.scores(
            page, format.keys(layer, head), qkv, q, ldq, seen, scores, g * block + p - first, ld);
      }
    }
    int n = end - first;
    for (int i = 0; i < group * QUERIES; i++) {
      int at = i * ld;
      int own = position + i % QUERIES;
      Arrays.fill(scores, at, at + first(own) - first, Float.NEGATIVE_INFINITY);
      Arrays.fill(scores, at + own + 1 - first, at + n, Float.NEGATIVE_INFINITY);
      softmax(scores, at, n);
    }
    Arrays.fill(out, 0, group * QUERIES * padded, 0);
    for (int p = first; p < end; p += POSITIONS) {
      int seen = Math.min(POSITIONS, end - p);
      KvPage page = sequence.page(p);
      for (int g = 0; g < group; g++) {
        format.values(
            page,
            format.values(layer, head),
            scores,
            g * block + p - first,
            ld,
            seen,
            out,
            g * QUERIES * padded);
      }
    }
    for (int i = 0; i < group * QUERIES; i++) {
      int query = head * group + i / QUERIES;
      System.arraycopy(out, i * padded, z, zAt + i % QUERIES * ldz + query * dims, dims);
    }
  }

  /** The first position that the query at {@code position} sees. */
  private int first(int position) {
    return window == 0 ? 0 : Math.max(0, position - window + 1);
  }
}
