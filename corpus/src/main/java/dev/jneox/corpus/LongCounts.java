package dev.jneox.corpus;

/** Counts 64-bit hashes: open addressing over primitive arrays, for n-grams of a document. */
final class LongCounts {
  private final long[] keys;
  private final int[] counts;
  private final int mask;

  /** Makes a table for at most {@code size} different hashes. */
  LongCounts(int size) {
    int capacity = Integer.highestOneBit(Math.max(8, size)) * 4;
    keys = new long[capacity];
    counts = new int[capacity];
    mask = capacity - 1;
  }

  /** Counts a hash and returns how often it has come, this time included. */
  int add(long hash) {
    int at = (int) (hash ^ hash >>> 32) & mask;
    while (counts[at] > 0 && keys[at] != hash) {
      at = at + 1 & mask;
    }
    keys[at] = hash;
    return ++counts[at];
  }
}
