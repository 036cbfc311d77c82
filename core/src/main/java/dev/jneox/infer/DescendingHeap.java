package dev.jneox.infer;

/**
 * Gives the values of an array from the largest down, as far as they are asked for. A binary heap:
 * the first few of very many cost one pass and no sort.
 */
final class DescendingHeap {
  private final double[] heap;
  private int size;

  /** Reorders the first {@code size} values of {@code values}, which it then owns. */
  DescendingHeap(double[] values, int size) {
    this.heap = values;
    this.size = size;
    for (int i = size / 2 - 1; i >= 0; i--) {
      sink(heap[i], i);
    }
  }

  boolean hasNext() {
    return size > 0;
  }

  double next() {
    double largest = heap[0];
    sink(heap[--size], 0);
    return largest;
  }

  /** Places a value at or below {@code at}, above all that are smaller. */
  private void sink(double value, int at) {
    for (int child = 2 * at + 1; child < size; child = 2 * at + 1) {
      if (child + 1 < size && heap[child + 1] > heap[child]) {
        child++;
      }
      if (heap[child] <= value) {
        break;
      }
      heap[at] = heap[child];
      at = child;
    }
    heap[at] = value;
  }
}
