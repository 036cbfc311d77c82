package dev.jneox.model;

/**
 * Says where each head begins in a row of queries, keys and values: query head {@code h} at {@code
 * query + h * queryStride}, and so on. It holds for the rows of a fused matrix and for the columns
 * of what it produces alike.
 *
 * @param width values of a row
 */
public record HeadLayout(
    int query, int queryStride, int key, int keyStride, int value, int valueStride, int width) {
  /** All queries, then all keys, then all values. */
  public static HeadLayout inTurn(Attention attention) {
    int d = attention.headDim();
    int key = attention.queryWidth();
    int value = key + attention.keyWidth();
    return new HeadLayout(0, d, key, d, value, d, attention.fusedWidth());
  }

  /** Of each head its query, key and value: GPT-NeoX's order, for as many keys as queries. */
  public static HeadLayout perHead(Attention attention) {
    int d = attention.headDim();
    if (attention.groupSize() != 1) {
      throw new IllegalArgumentException("heads that share keys have no layout per head");
    }
    return new HeadLayout(0, 3 * d, d, 3 * d, 2 * d, 3 * d, attention.fusedWidth());
  }

  /** Where query head {@code head} begins. */
  public int queryAt(int head) {
    return query + head * queryStride;
  }

  /** Where key head {@code head} begins. */
  public int keyAt(int head) {
    return key + head * keyStride;
  }

  /** Where value head {@code head} begins. */
  public int valueAt(int head) {
    return value + head * valueStride;
  }
}
