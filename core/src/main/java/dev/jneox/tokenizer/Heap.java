package dev.jneox.tokenizer;

import java.util.Arrays;

/** Is a binary heap of longs with the smallest on top. */
final class Heap {
  private long[] values;
  private int size;

  Heap(int capacity) {
    values = new long[Math.max(capacity, 16)];
  }

  boolean isEmpty() {
    return size == 0;
  }

  void push(long value) {
    if (size == values.length) {
      values = Arrays.copyOf(values, 2 * size);
    }
    int at = size++;
    while (at > 0 && values[at - 1 >> 1] > value) {
      values[at] = values[at - 1 >> 1];
      at = at - 1 >> 1;
    }
    values[at] = value;
  }

  long pop() {
    long top = values[0];
    long moved = values[--size];
    int at = 0;
    for (int child = 1; child < size; child = 2 * at + 1) {
      if (child + 1 < size && values[child + 1] < values[child]) {
        child++;
      }
      if (values[child] >= moved) {
        break;
      }
      values[at] = values[child];
      at = child;
    }
    values[at] = moved;
    return top;
  }
}
