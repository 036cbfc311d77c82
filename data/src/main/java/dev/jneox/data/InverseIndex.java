package dev.jneox.data;

import java.lang.foreign.Arena;

/**
 * Inverts the two permutations of a {@link SampleIndex}: maps a document to its places in {@code
 * doc_idx}, and a row of {@code sample_idx} to the sample that reads it.
 *
 * <p>It takes 4 bytes for each place in {@code doc_idx} (documents times epochs), 4 for each
 * document and 4 for each sample (8 where there are more than 2^32), outside the heap, while it is
 * reachable.
 *
 * @param first smallest document of the index
 * @param starts i4 [documents + 1]: where in {@code positions} each document's places begin
 * @param positions i4 [documents * epochs]: places in {@code doc_idx}, ascending for each document
 * @param samples u4 or i8 [N]: the sample that each row comes as
 */
record InverseIndex(int first, Npy starts, Npy positions, Npy samples) {
  static InverseIndex of(SampleIndex index) {
    Arena arena = Arena.ofAuto();
    Npy documents = index.documents();
    long first = Integer.MAX_VALUE;
    long end = 0;
    for (long i = 0; i < documents.size(); i++) {
      first = Math.min(first, documents.get(i));
      end = Math.max(end, documents.get(i) + 1);
    }
    // A counting sort: after the second pass, starts[d] is where the places of d end.
    long count = Math.max(0, end - first);
    Npy starts = Npy.allocate(arena, ElementType.I32, count + 1);
    for (long i = 0; i < documents.size(); i++) {
      long next = documents.get(i) - first + 1;
      if (next < count) {
        starts.set(next, starts.get(next) + 1);
      }
    }
    for (long d = 1; d < count; d++) {
      starts.set(d, starts.get(d) + starts.get(d - 1));
    }
    Npy positions = Npy.allocate(arena, ElementType.I32, documents.size());
    for (long i = 0; i < documents.size(); i++) {
      long d = documents.get(i) - first;
      long at = starts.get(d);
      positions.set(at, i);
      starts.set(d, at + 1);
    }
    for (long d = count; d > 0; d--) {
      starts.set(d, starts.get(d - 1));
    }
    starts.set(0, 0);

    Npy samples = Npy.allocate(arena, index.shuffle().type(), index.count());
    for (long i = 0; i < index.count(); i++) {
      samples.set(index.shuffle().get(i), i);
    }
    return new InverseIndex((int) first, starts, positions, samples);
  }

  /**
   * Returns the index in {@link #positions} of the first place of {@code document}, which may have
   * none.
   */
  long start(int document) {
    return starts.get(Math.clamp((long) document - first, 0, starts.size() - 1));
  }
}
