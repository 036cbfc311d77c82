package dev.jneox.infer;

import dev.jneox.io.InputException;
import dev.jneox.kernel.KvProducts;
import dev.jneox.kernel.Vectors;
import dev.jneox.model.ModelSpec;

/**
 * Lays out the keys and values of {@value #POSITIONS} positions in a {@link KvPage}: for every
 * layer first the keys of all heads, each with the positions side by side, {@code [headDim][64]},
 * so that one vector holds a value of many keys and a score needs no sum over lanes; then the
 * values of all heads, each one position after the other, {@code [64][headDim, padded]}. So a
 * thread that takes some neighbouring heads reads memory in long runs. Every score is one sum over
 * the head's width in rising order, every output one sum over the positions in rising order: the
 * same bits however many queries share a read. A head here is one of keys and values, which several
 * query heads may read.
 */
abstract sealed class KvFormat permits FloatKv, Bfloat16Kv {
  /** Positions in a page. */
  static final int POSITIONS = KvProducts.POSITIONS;

  /** Queries that share one read of keys and values where there are many. */
  static final int QUERIES = KvProducts.QUERIES;

  final int dims;

  /** The width of a row of values: whole vectors. */
  final int padded;

  /** Elements of the page's array that the keys of one head of one layer take. */
  private final int keyElements;

  /** Elements of the page's array that the values of one head of one layer take. */
  private final int valueElements;

  private final int[] keys; // where those of a layer begin
  private final int[] values;
  private final int elements;

  /**
   * @param keyRows rows of {@link #POSITIONS} elements that the keys of one head take
   * @param valueRows padded rows that the values of one head take
   */
  KvFormat(ModelSpec spec, int keyRows, int valueRows) {
    this.dims = headDim(spec);
    this.padded = Vectors.padded(dims);
    this.keyElements = POSITIONS * keyRows;
    this.valueElements = valueRows * padded;
    this.keys = new int[spec.layers()];
    this.values = new int[spec.layers()];
    long at = 0;
    for (int l = 0; l < spec.layers(); l++) {
      int heads = spec.block(l).attention().kvHeads();
      keys[l] = Math.toIntExact(at);
      values[l] = Math.toIntExact(at + (long) heads * keyElements);
      at += (long) heads * (keyElements + valueElements);
    }
    this.elements = Math.toIntExact(at);
  }

  static KvFormat of(ModelSpec spec, KvPrecision precision) {
    return precision == KvPrecision.F32 ? new FloatKv(spec) : new Bfloat16Kv(spec);
  }

  /**
   * The width of a head, in all layers.
   *
   * @throws InputException where layers differ in it
   */
  static int headDim(ModelSpec spec) {
    int dims = spec.first().attention().headDim();
    for (int l = 0; l < spec.layers(); l++) {
      int other = spec.block(l).attention().headDim();
      if (other != dims) {
        throw new InputException(
            "layer "
                + l
                + ": expected heads of "
                + dims
                + " values, as in layer 0, found "
                + other
                + ": keys of different widths cannot be kept together");
      }
    }
    return dims;
  }

  abstract KvPage newPage();

  /** Elements of a page's array. */
  final int elements() {
    return elements;
  }

  final long pageBytes() {
    return 4L * elements;
  }

  /** Where the keys of a head of a layer begin. */
  final int keys(int layer, int head) {
    return keys[layer] + head * keyElements;
  }

  /** Where the values of a head of a layer begin. */
  final int values(int layer, int head) {
    return values[layer] + head * valueElements;
  }

  /** Writes the key of a position of the page, the head's keys being at {@code at}. */
  abstract void storeKey(KvPage page, int at, int position, float[] k, int kAt);

  /**
   * Writes the value of a position of the page, the head's values being at {@code at}; positions
   * come rising from 0.
   */
  abstract void storeValue(KvPage page, int at, int position, float[] v, int vAt);

  /**
   * {@code out[outAt + t] = k[t] q} for the first {@code n} positions; those behind them may be
   * overwritten.
   */
  abstract void scores(KvPage page, int at, float[] q, int qAt, int n, float[] out, int outAt);

  /** The same for {@link #QUERIES} queries at once, rows of {@code q} and {@code out}. */
  abstract void scores(
      KvPage page, int at, float[] q, int qAt, int ldq, int n, float[] out, int outAt, int ldo);

  /** {@code out[outAt + d] += p[pAt + t] v[t][d]} over the first {@code n} positions. */
  abstract void values(KvPage page, int at, float[] p, int pAt, int n, float[] out, int outAt);

  /**
   * The same for {@link #QUERIES} rows of probabilities, {@code ldp} values apart; row {@code i} of
   * the output is at {@code outAt + i * padded}.
   */
  abstract void values(
      KvPage page, int at, float[] p, int pAt, int ldp, int n, float[] out, int outAt);
}
