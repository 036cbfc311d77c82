package dev.jneox.data;

import java.lang.foreign.MemorySegment;

/**
 * Generates the random numbers of {@code numpy.random.RandomState(seed)} and of its {@code
 * shuffle}, draw for draw. GPT-NeoX's sample order depends on them. Mersenne Twister MT19937
 * (Matsumoto and Nishimura, 1998) with the 2002 initialisation from one word.
 */
public final class Mt19937 {
  private static final int N = 624;
  private static final int M = 397;
  private static final int BATCH = 256;

  private final int[] state = new int[N];
  private int next = N;

  /** Seeds as {@code RandomState(seed)} does, with the low 32 bits. */
  public Mt19937(long seed) {
    state[0] = (int) seed;
    for (int i = 1; i < N; i++) {
      state[i] = 1812433253 * (state[i - 1] ^ state[i - 1] >>> 30) + i;
    }
  }

  /** Seeds with several words, by the algorithm of 2002 that Python uses. */
  Mt19937(int[] key) {
    this(19650218);
    int i = 1;
    int j = 0;
    for (int k = Math.max(N, key.length); k > 0; k--) {
      state[i] = (state[i] ^ (state[i - 1] ^ state[i - 1] >>> 30) * 1664525) + key[j] + j;
      i++;
      j = (j + 1) % key.length;
      if (i == N) {
        state[0] = state[N - 1];
        i = 1;
      }
    }
    for (int k = N - 1; k > 0; k--) {
      state[i] = (state[i] ^ (state[i - 1] ^ state[i - 1] >>> 30) * 1566083941) - i;
      i++;
      if (i == N) {
        state[0] = state[N - 1];
        i = 1;
      }
    }
    state[0] = 0x80000000;
  }

  /** Returns the next 32 random bits. */
  public int nextInt() {
    if (next == N) {
      twist();
    }
    int y = state[next++];
    y ^= y >>> 11;
    y ^= y << 7 & 0x9d2c5680;
    y ^= y << 15 & 0xefc60000;
    return y ^ y >>> 18;
  }

  private void twist() {
    for (int i = 0; i < N; i++) {
      int y = state[i] & 0x80000000 | state[i + 1 < N ? i + 1 : 0] & 0x7fffffff;
      state[i] = state[i + M < N ? i + M : i + M - N] ^ y >>> 1 ^ -(y & 1) & 0x9908b0df;
    }
    next = 0;
  }

  /**
   * Draws a uniform number of 0 to {@code max}, both included, by rejection of masked draws that
   * are larger.
   */
  public long interval(long max) {
    long mask = max == 0 ? 0 : -1L >>> Long.numberOfLeadingZeros(max);
    long value;
    do {
      value =
          mask >>> 32 == 0
              ? nextInt() & 0xFFFF_FFFFL
              : (nextInt() & 0xFFFF_FFFFL) << 32 | nextInt() & 0xFFFF_FFFFL;
      value &= mask;
    } while (value > max);
    return value;
  }

  /**
   * Shuffles a one-dimensional array as {@code RandomState.shuffle} does: Fisher and Yates from the
   * end. The partners are drawn a batch ahead: the result is the same, and the memory accesses of a
   * batch overlap.
   */
  void shuffle(Npy array) {
    long[] partners = new long[BATCH];
    for (long i = array.size() - 1; i > 0; ) {
      int n = (int) Math.min(BATCH, i);
      for (int k = 0; k < n; k++) {
        partners[k] = interval(i - k);
      }
      switch (array.type().bytes()) {
        case 4 -> swapInts(array.data(), i, partners, n);
        case 8 -> swapLongs(array.data(), i, partners, n);
        default -> throw new IllegalArgumentException("no shuffle for " + array.type());
      }
      i -= n;
    }
  }

  private static void swapInts(MemorySegment data, long last, long[] partners, int n) {
    for (int k = 0; k < n; k++) {
      long a = 4 * (last - k);
      long b = 4 * partners[k];
      int swapped = data.get(ElementType.INT, a);
      data.set(ElementType.INT, a, data.get(ElementType.INT, b));
      data.set(ElementType.INT, b, swapped);
    }
  }

  private static void swapLongs(MemorySegment data, long last, long[] partners, int n) {
    for (int k = 0; k < n; k++) {
      long a = 8 * (last - k);
      long b = 8 * partners[k];
      long swapped = data.get(ElementType.LONG, a);
      data.set(ElementType.LONG, a, data.get(ElementType.LONG, b));
      data.set(ElementType.LONG, b, swapped);
    }
  }
}
