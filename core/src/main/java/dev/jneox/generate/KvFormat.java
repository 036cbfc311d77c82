package dev.jneox.generate;

import dev.jneox.model.ModelConfig;
import dev.jneox.tensor.Vectors;

/**
 * How the keys and values of {@value #POSITIONS} positions lie in a {@link KvPage}: for every layer
 * first the keys of all heads, each with the positions side by side, {@code [headDim][64]}, so that
 * one vector holds a value of many keys and a score needs no sum over lanes; then the values of all
 * heads, each one position after the other, {@code [64][headDim, padded]}. So a thread that takes
 * some neighbouring heads reads memory in long runs. Every score is one sum over the head's width
 * in rising order, every output one sum over the positions in rising order: the same bits however
 * many queries share a read.
 */
abstract sealed class KvFormat permits FloatKv, Bfloat16Kv {
  /** Positions in a page. */
  static final int POSITIONS = 64;

  /** Queries that share one read of keys and values where there are many. */
  static final int QUERIES = 4;

  final int dims;

  /** The width of a row of values: whole vectors. */
  final int padded;

  private final int heads;
  private final int layers;

  KvFormat(ModelConfig config) {
    this.dims = config.headDim();
    this.padded = Vectors.padded(dims);
    this.heads = config.heads();
    this.layers = config.layers();
  }

  static KvFormat of(ModelConfig config, KvPrecision precision) {
    return precision == KvPrecision.F32 ? new FloatKv(config) : new Bfloat16Kv(config);
  }

  /** Elements of the page's array that the keys of one head of one layer take. */
  abstract int keyElements();

  /** Elements of the page's array that the values of one head of one layer take. */
  abstract int valueElements();

  abstract KvPage newPage();

  /** Elements of a page's array. */
  final int elements() {
    return Math.toIntExact((long) layers * layerElements());
  }

  final long pageBytes() {
    return 4L * elements();
  }

  /**
   * Bytes that one position takes in all layers, without padding: what attention reads of each
   * position before it.
   */
  abstract long positionBytes();

  final int elementsOfAllHeads() {
    return layers * heads;
  }

  private int layerElements() {
    return Math.multiplyExact(heads, keyElements() + valueElements());
  }

  /** Where the keys of a head of a layer begin. */
  final int keys(int layer, int head) {
    return layer * layerElements() + head * keyElements();
  }

  /** Where the values of a head of a layer begin. */
  final int values(int layer, int head) {
    return layer * layerElements() + heads * keyElements() + head * valueElements();
  }

  /** Writes the key of a position of the page, the head's keys being at {@code at}. */
  abstract void storeKey(KvPage page, int at, int position, float[] k, int kAt);

  /**
   * Writes the value of a position of the page, the head's values being at {@code at}; positions
   * come rising from 0.
   */
  abstract void storeValue(KvPage page, int at, int position, float[] v, int vAt);

  /**
   * {@code out[outAt + t] = k[t] q} for the first {@code vectors} vectors of positions, or one
   * more.
   */
  abstract void scores(
      KvPage page, int at, float[] q, int qAt, int vectors, float[] out, int outAt);

  /** The same for {@link #QUERIES} queries at once, rows of {@code q} and {@code out}. */
  abstract void scores(
      KvPage page,
      int at,
      float[] q,
      int qAt,
      int ldq,
      int vectors,
      float[] out,
      int outAt,
      int ldo);

  /** {@code out[outAt + d] += p[pAt + t] v[t][d]} over the first {@code n} positions. */
  abstract void values(KvPage page, int at, float[] p, int pAt, int n, float[] out, int outAt);

  /**
   * The same for {@link #QUERIES} rows of probabilities; row {@code i} of the output is at {@code i
   * * padded}.
   */
  abstract void values(KvPage page, int at, float[] p, int pAt, int ldp, int n, float[] out);
}
