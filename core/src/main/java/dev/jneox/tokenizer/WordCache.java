package dev.jneox.tokenizer;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.util.Arrays;

/**
 * Caches the ids of words. Most words of a text were encoded before, so that this decides the speed
 * of encoding. One cache line of the processor holds a word of up to 15 bytes and up to 4 ids,
 * compared and copied without a loop. Longer words and longer encodings are in two arrays beside
 * the table. The size is bounded: a full cache is cleared. Not thread-safe.
 */
final class WordCache {
  /**
   * Bytes after the last word that {@link #find} may read, and places after the last id that it may
   * write.
   */
  static final int SLACK = 16;

  /** Longer words are not cached. */
  private static final int LONGEST = 128;

  private static final int INLINE = 15;
  private static final int INLINE_IDS = 4;
  private static final int STRIDE = 4;
  private static final int SMALLEST = 1 << 12;
  private static final int LARGEST = 1 << 18;
  private static final VarHandle LONG =
      MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);

  /** Masks of the low bytes of a long. */
  private static final long[] LOW = new long[9];

  static {
    for (int n = 0; n < 8; n++) {
      LOW[n] = (1L << 8 * n) - 1;
    }
    LOW[8] = -1;
  }

  /**
   * Entries of four longs: the two halves of the key, then ids 0 and 1, then ids 2 and 3 with the
   * number of ids in the top four bits. The top byte of the key's second half is the length of the
   * word; 0 marks a free entry. For a long word the key is (hash, offset in {@code words}). A
   * number of 0 ids means that they are in {@code ids}, at (offset, number).
   */
  private long[] table = new long[SMALLEST * STRIDE];

  private int shift = 64 - 12;
  private int size;
  private byte[] words = new byte[1 << 12];
  private int wordsUsed;
  private int[] ids = new int[1 << 10];
  private int idsUsed;

  /**
   * Copies the ids of the word {@code text[from, to)} to {@code out[at]} on; returns their end, or
   * -1 if the word is not cached.
   */
  int find(byte[] text, int from, int to, int[] out, int at) {
    int length = to - from;
    int entry;
    if (length <= INLINE) {
      long low = (long) LONG.get(text, from) & LOW[Math.min(length, 8)];
      long high =
          length <= 8
              ? (long) length << 56
              : (long) LONG.get(text, from + 8) & LOW[length - 8] | (long) length << 56;
      entry = place(low, high);
      while (table[entry] != low || table[entry + 1] != high) {
        if (table[entry + 1] == 0) {
          return -1;
        }
        entry = entry + STRIDE & table.length - 1;
      }
    } else {
      entry = length <= LONGEST ? findLong(text, from, to) : -1;
      if (entry < 0) {
        return -1;
      }
    }
    long first = table[entry + 2];
    long second = table[entry + 3];
    int n = (int) (second >>> 60);
    if (n == 0) {
      System.arraycopy(ids, (int) first, out, at, (int) second);
      return at + (int) second;
    }
    out[at] = (int) first;
    out[at + 1] = (int) (first >>> 32);
    out[at + 2] = (int) second;
    out[at + 3] = (int) (second >>> 32) & 0x0FFFFFFF;
    return at + n;
  }

  /** Caches the {@code n} ids of a word that {@link #find} did not have. */
  void put(byte[] text, int from, int to, int[] encoded, int at, int n) {
    int length = to - from;
    if (length > LONGEST) {
      return;
    }
    if (size >= table.length / STRIDE / 8 * 5) {
      if (table.length / STRIDE < LARGEST) {
        grow();
      } else {
        clear();
      }
    }
    long low;
    long high;
    if (length <= INLINE) {
      low = (long) LONG.get(text, from) & LOW[Math.min(length, 8)];
      high = length <= 8 ? 0 : (long) LONG.get(text, from + 8) & LOW[length - 8];
    } else {
      low = hash(text, from, to);
      high = keepWord(text, from, length);
    }
    long first;
    long second;
    if (n <= INLINE_IDS) {
      first = encoded[at] | (long) (n > 1 ? encoded[at + 1] : 0) << 32;
      second =
          (n > 2 ? encoded[at + 2] : 0)
              | (long) (n > 3 ? encoded[at + 3] : 0) << 32
              | (long) n << 60;
    } else {
      first = keepIds(encoded, at, n);
      second = n;
    }
    insert(low, high | (long) length << 56, first, second);
    size++;
  }

  private int findLong(byte[] text, int from, int to) {
    long low = hash(text, from, to);
    int entry = place(low, 0);
    while (table[entry + 1] != 0) {
      int word = (int) table[entry + 1];
      int length = (int) (table[entry + 1] >>> 56);
      if (table[entry] == low
          && length > INLINE
          && Arrays.equals(words, word, word + length, text, from, to)) {
        return entry;
      }
      entry = entry + STRIDE & table.length - 1;
    }
    return -1;
  }

  private void insert(long low, long high, long first, long second) {
    int entry = place(low, (high >>> 56) > INLINE ? 0 : high);
    while (table[entry + 1] != 0) {
      entry = entry + STRIDE & table.length - 1;
    }
    table[entry] = low;
    table[entry + 1] = high;
    table[entry + 2] = first;
    table[entry + 3] = second;
  }

  private int place(long low, long high) {
    long mixed = (low ^ high * 0xC2B2AE3D27D4EB4FL) * 0x9E3779B97F4A7C15L;
    return (int) ((mixed ^ mixed << 32) >>> shift) * STRIDE;
  }

  private static long hash(byte[] text, int from, int to) {
    long hash = to - from;
    int at = from;
    for (; at + 8 <= to; at += 8) {
      hash = (hash ^ (long) LONG.get(text, at)) * 0x9E3779B97F4A7C15L;
      hash ^= hash >>> 29;
    }
    return (hash ^ (long) LONG.get(text, at) & LOW[to - at]) * 0x9E3779B97F4A7C15L;
  }

  private int keepWord(byte[] text, int from, int length) {
    if (wordsUsed + length > words.length) {
      words = Arrays.copyOf(words, 2 * words.length);
    }
    System.arraycopy(text, from, words, wordsUsed, length);
    wordsUsed += length;
    return wordsUsed - length;
  }

  private int keepIds(int[] encoded, int at, int n) {
    if (idsUsed + n > ids.length) {
      ids = Arrays.copyOf(ids, 2 * ids.length);
    }
    System.arraycopy(encoded, at, ids, idsUsed, n);
    idsUsed += n;
    return idsUsed - n;
  }

  private void grow() {
    long[] old = table;
    table = new long[2 * old.length];
    shift--;
    for (int entry = 0; entry < old.length; entry += STRIDE) {
      if (old[entry + 1] != 0) {
        insert(old[entry], old[entry + 1], old[entry + 2], old[entry + 3]);
      }
    }
  }

  private void clear() {
    Arrays.fill(table, 0);
    size = 0;
    wordsUsed = 0;
    idsUsed = 0;
  }
}
