package dev.jneox.model;

/**
 * Says where each head begins in a row of queries, keys and values. Query head {@code h} begins at
 * {@code query + h * queryStride}, and likewise for keys and values. The layout holds for the rows
 * of a fused matrix and for the columns of its product.
 *
 * @param query where query head 0 begins
 * @param queryStride from one query head to the next
 * @param key where key head 0 begins
 * @param keyStride from one key head to the next
 * @param value where value head 0 begins
 * @param valueStride from one value head to the next
 * @param width values of a row
 */
public record HeadLayout(
    int query, int queryStride, int key, int keyStride, int value, int valueStride, int width) {
  /** Lays out all queries, then all keys, then all values. */
  public static HeadLayout concatenated(Attention attention) {
    int d = attention.headDim();
    int key = attention.queryWidth();
    int value = key + attention.keyWidth();
    return new HeadLayout(0, d, key, d, value, d, attention.fusedWidth());
  }

  /**
   * Lays out the query, key and value of head 0, then those of head 1, and so on: GPT-NeoX's order.
   *
   * @throws IllegalArgumentException when heads share keys
   */
  public static HeadLayout byHead(Attention attention) {
    int d = attention.headDim();
    if (attention.groupSize() != 1) {
      throw new IllegalArgumentException("heads that share keys have no layout per head");
    }
    return new HeadLayout(0, 3 * d, d, 3 * d, 2 * d, 3 * d, attention.fusedWidth());
  }

  /** Returns where query head {@code head} begins. */
  public int queryAt(int head) {
    return query + head * queryStride;
  }

  /** Returns where key head {@code head} begins. */
  public int keyAt(int head) {
    return key + head * keyStride;
  }

  /** Returns where value head {@code head} begins. */
  public int valueAt(int head) {
    return value + head * valueStride;
  }
}
