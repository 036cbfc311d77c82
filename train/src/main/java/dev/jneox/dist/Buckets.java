package dev.jneox.dist;

import java.util.ArrayList;
import java.util.List;

/**
 * Cuts a flat array of gradients into ranges that are summed over the copies of a model one after
 * the other, while the backward pass goes on. The pass has the gradients from the end of the array
 * to its beginning.
 */
public final class Buckets {
  /**
   * A range of the array.
   *
   * @param from its first element
   * @param to the element after its last
   * @param ready number of the part after which its gradient is whole
   */
  public record Bucket(long from, long to, int ready) {
    /** Returns the first element of one of {@code count} equal shares. */
    public long share(int index, int count) {
      return from + (to - from) / count * index;
    }
  }

  private Buckets() {}

  /**
   * Cuts an array.
   *
   * @param starts first elements of the parts in the order in which they get ready, descending to 0
   * @param length of the array, a multiple of {@code unit}
   * @param unit number that every bucket's length is a multiple of
   * @param least elements of a bucket, but for the last
   */
  public static List<Bucket> of(List<Long> starts, long length, long unit, long least) {
    List<Bucket> buckets = new ArrayList<>();
    long top = length;
    for (int i = 0; i < starts.size(); i++) {
      boolean last = i == starts.size() - 1;
      long from = Math.ceilDiv(starts.get(i), unit) * unit;
      if (from < top && (last || top - from >= least)) {
        buckets.add(new Bucket(from, top, i));
        top = from;
      }
    }
    return List.copyOf(buckets);
  }
}
