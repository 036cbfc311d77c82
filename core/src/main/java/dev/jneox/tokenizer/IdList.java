package dev.jneox.tokenizer;

import java.util.Arrays;

/** Is a growable list of token ids. */
final class IdList {
  private int[] ids = new int[64];
  private int size;

  void add(int id) {
    if (size == ids.length) {
      ids = Arrays.copyOf(ids, (int) Math.min(2L * size, Integer.MAX_VALUE - 8));
    }
    ids[size++] = id;
  }

  void addAll(int[] more) {
    for (int id : more) {
      add(id);
    }
  }

  int size() {
    return size;
  }

  /** Returns the ids from an index on. */
  int[] from(int start) {
    return Arrays.copyOfRange(ids, start, size);
  }

  /** Applies {@code merges} to the ids from an index on. */
  void merge(int start, Merges merges) {
    size = start + merges.apply(ids, start, size - start);
  }

  /** Removes and returns all ids. */
  int[] take() {
    int[] taken = Arrays.copyOf(ids, size);
    size = 0;
    if (ids.length > 1 << 20) {
      ids = new int[64];
    }
    return taken;
  }
}
