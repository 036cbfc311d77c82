package dev.jneox.corpus;

import dev.jneox.data.Mt19937;
import java.util.Arrays;

/**
 * Computes MinHash signatures as datatrove does: of each 64-bit hash {@code h} of a shingle {@code
 * (h a + b) mod (2^61 - 1)}, where the product wraps at 2^64, for each pair of coefficients, and of
 * each pair the least. The coefficients are {@code numpy.random.RandomState(seed).randint(1, p)}
 * and {@code randint(0, p)} in turn, of type uint64.
 */
final class MinHash {
  private static final long PRIME = (1L << 61) - 1;

  private final long[] a;
  private final long[] b;

  MinHash(int size, long seed) {
    a = new long[size];
    b = new long[size];
    Mt19937 random = new Mt19937(seed);
    for (int i = 0; i < size; i++) {
      a[i] = 1 + random.interval(PRIME - 2);
      b[i] = random.interval(PRIME - 1);
    }
  }

  /** Returns the signature of the first {@code n} hashes. */
  long[] signature(long[] hashes, int n) {
    long[] least = new long[a.length];
    Arrays.fill(least, Long.MAX_VALUE);
    for (int k = 0; k < n; k++) {
      add(hashes[k], least);
    }
    return least;
  }

  private void add(long hash, long[] least) {
    long[] a = this.a;
    long[] b = this.b;
    for (int i = 0; i < least.length; i++) {
      long x = hash * a[i] + b[i];
      // Of x = 2^61 q + r the rest is that of q + r, which is below 2 p: without a branch.
      x = (x & PRIME) + (x >>> 61);
      x = x + (x + 1 >>> 61) & PRIME;
      least[i] = Math.min(least[i], x);
    }
  }
}
