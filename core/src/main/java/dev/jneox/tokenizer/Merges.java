package dev.jneox.tokenizer;

import java.util.Arrays;

/**
 * Holds the merge rules of a byte-pair encoding and applies them: of all neighbours in a word that
 * have a rule, the pair with the lowest rank, leftmost first, becomes one token, until no pair has
 * a rule (Sennrich et al. 2016, arXiv:1508.07909).
 */
final class Merges {
  private static final long NONE = Long.MAX_VALUE;
  private static final int SHORT = 48;

  /**
   * An open-addressing table: key (left, right) at 2i, value (rank, merged token) at 2i + 1; key -1
   * marks a free slot.
   */
  private final long[] table;

  private final int shift;

  /**
   * Creates a table without rules.
   *
   * @param capacity the most rules that will be put
   */
  Merges(int capacity) {
    int places = Integer.highestOneBit(Math.max(capacity, 8)) * 4;
    table = new long[2 * places];
    shift = Long.numberOfLeadingZeros(places) + 1;
    Arrays.fill(table, -1);
  }

  /** Adds a rule; a later one for the same pair replaces an earlier one. */
  void put(int left, int right, int rank, int merged) {
    long key = key(left, right);
    int at = place(key);
    while (table[at] != -1 && table[at] != key) {
      at = at + 2 & table.length - 1;
    }
    table[at] = key;
    table[at + 1] = (long) rank << 32 | merged;
  }

  /** Returns (rank, merged token) of a pair, or {@link #NONE}. */
  private long rule(int left, int right) {
    long key = key(left, right);
    for (int at = place(key); table[at] != -1; at = at + 2 & table.length - 1) {
      if (table[at] == key) {
        return table[at + 1];
      }
    }
    return NONE;
  }

  private static long key(int left, int right) {
    return (long) left << 32 | right;
  }

  private int place(long key) {
    return (int) (key * 0x9E3779B97F4A7C15L >>> shift) << 1;
  }

  /** Merges the {@code n} tokens of a word in place and returns how many remain. */
  int apply(int[] tokens, int from, int n) {
    return n <= SHORT ? applyShort(tokens, from, n) : applyLong(tokens, from, n);
  }

  /** Scans all pairs for each merge, which is fastest for words of usual length. */
  private int applyShort(int[] tokens, int from, int n) {
    long[] rules = new long[SHORT];
    for (int i = 0; i < n - 1; i++) {
      rules[i] = rule(tokens[from + i], tokens[from + i + 1]);
    }
    while (n > 1) {
      int best = 0;
      long lowest = rules[0];
      for (int i = 1; i < n - 1; i++) {
        // Equal ranks are the same pair, so a strict comparison of whole values keeps the leftmost.
        if (rules[i] < lowest) {
          lowest = rules[i];
          best = i;
        }
      }
      if (lowest == NONE) {
        break;
      }
      n--;
      tokens[from + best] = (int) lowest;
      System.arraycopy(tokens, from + best + 2, tokens, from + best + 1, n - best - 1);
      System.arraycopy(rules, best + 1, rules, best, n - best - 1);
      if (best > 0) {
        rules[best - 1] = rule(tokens[from + best - 1], tokens[from + best]);
      }
      if (best < n - 1) {
        rules[best] = rule(tokens[from + best], tokens[from + best + 1]);
      }
    }
    return n;
  }

  /**
   * Merges with a heap of (rank, position) and a linked list of tokens, in n log n, for lines of a
   * megabyte without a space.
   */
  private int applyLong(int[] tokens, int from, int n) {
    int[] next = new int[n];
    int[] previous = new int[n];
    Heap heap = new Heap(n);
    for (int i = 0; i < n; i++) {
      next[i] = i + 1;
      previous[i] = i - 1;
      if (i + 1 < n) {
        push(heap, rule(tokens[from + i], tokens[from + i + 1]), i);
      }
    }
    while (!heap.isEmpty()) {
      long top = heap.pop();
      int at = (int) top;
      int right = next[at];
      if (right >= n || right < 0) {
        continue;
      }
      long rule = rule(tokens[from + at], tokens[from + right]);
      if (rule == NONE || rule >>> 32 != top >>> 32) {
        continue; // one of the two has been merged since this was pushed
      }
      tokens[from + at] = (int) rule;
      int after = next[right];
      next[right] = -1;
      next[at] = after;
      if (after < n) {
        previous[after] = at;
        push(heap, rule(tokens[from + at], tokens[from + after]), at);
      }
      if (previous[at] >= 0) {
        push(heap, rule(tokens[from + previous[at]], tokens[from + at]), previous[at]);
      }
    }
    int left = 0;
    for (int i = 0; i < n; i = next[i]) {
      tokens[from + left++] = tokens[from + i];
    }
    return left;
  }

  private static void push(Heap heap, long rule, int at) {
    if (rule != NONE) {
      heap.push(rule & 0xFFFFFFFF_00000000L | at);
    }
  }
}
