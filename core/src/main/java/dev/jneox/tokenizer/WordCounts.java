package dev.jneox.tokenizer;

import dev.jneox.io.InputException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * Counts how often each word of GPT-2's pattern occurs in the texts. Words are numbered in the
 * order of first occurrence.
 */
final class WordCounts {
  /** Longer words (encoded data, lines of dashes) are counted in parts of this many bytes. */
  private static final int LONGEST = 1024;

  private byte[] bytes = new byte[1 << 16];
  private int[] starts = new int[1 << 12];
  private int[] hashes = new int[1 << 12];
  private long[] counts = new long[1 << 12];

  /** An open-addressing table: one more than a word's number, 0 for a free slot. */
  private int[] table = new int[1 << 13];

  private int size;

  void add(String text) {
    byte[] utf8 = Utf8.wellFormed(text).getBytes(StandardCharsets.UTF_8);
    for (int at = 0; at < utf8.length; ) {
      int end = WordSplitter.end(utf8, at, utf8.length);
      for (; at < end; at = Math.min(end, at + LONGEST)) {
        add(utf8, at, Math.min(end, at + LONGEST), 1);
      }
    }
  }

  void add(WordCounts other) {
    for (int word = 0; word < other.size; word++) {
      add(other.bytes, other.starts[word], other.starts[word + 1], other.counts[word]);
    }
  }

  private void add(byte[] text, int from, int to, long count) {
    int hash = 0;
    for (int i = from; i < to; i++) {
      hash = 31 * hash + text[i];
    }
    hash *= 0x9E3779B9;
    int place = hash >>> 1 & table.length - 1;
    for (; table[place] != 0; place = place + 1 & table.length - 1) {
      int word = table[place] - 1;
      if (hashes[word] == hash
          && Arrays.equals(bytes, starts[word], starts[word + 1], text, from, to)) {
        counts[word] += count;
        return;
      }
    }
    keep(text, from, to, hash, count);
    table[place] = size;
    if (size > table.length / 2) {
      grow();
    }
  }

  private void keep(byte[] text, int from, int to, int hash, long count) {
    if (size + 2 > starts.length) {
      starts = Arrays.copyOf(starts, 2 * starts.length);
      hashes = Arrays.copyOf(hashes, 2 * hashes.length);
      counts = Arrays.copyOf(counts, 2 * counts.length);
    }
    int start = starts[size];
    long end = (long) start + to - from;
    if (end > bytes.length) {
      if (end > Integer.MAX_VALUE - 8) {
        throw new InputException(
            "the corpus has more than "
                + size
                + " different words: train the tokenizer on a sample of it");
      }
      bytes = Arrays.copyOf(bytes, (int) Math.min(2L * bytes.length, Integer.MAX_VALUE - 8));
    }
    System.arraycopy(text, from, bytes, start, to - from);
    hashes[size] = hash;
    counts[size++] = count;
    starts[size] = (int) end;
  }

  private void grow() {
    table = new int[4 * table.length];
    for (int word = 0; word < size; word++) {
      int place = hashes[word] >>> 1 & table.length - 1;
      while (table[place] != 0) {
        place = place + 1 & table.length - 1;
      }
      table[place] = word + 1;
    }
  }

  /** Returns the number of distinct words. */
  int size() {
    return size;
  }

  long count(int word) {
    return counts[word];
  }

  /** Returns where the bytes of a word start; they end where those of the next one start. */
  int start(int word) {
    return starts[word];
  }

  byte at(int place) {
    return bytes[place];
  }

  /** Returns the bytes of all texts. */
  long bytes() {
    long total = 0;
    for (int word = 0; word < size; word++) {
      total += counts[word] * (starts[word + 1] - starts[word]);
    }
    return total;
  }
}
