package dev.jneox.tokenizer;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.PriorityQueue;
import org.jspecify.annotations.Nullable;

/**
 * Holds the words of a corpus as tokens, with the frequency of each pair of neighbours, and updates
 * both while pairs are merged. A merge reads only the words that have the pair.
 */
final class PairCounts {
  /** The least frequency of a pair that is merged. */
  private static final int LEAST = 2;

  /** Holds a pair of neighbours, its frequency, and the words that have or had it. */
  static final class Pair {
    final int left;
    final int right;
    long count;
    int[] words = new int[1];
    int size;

    Pair(int left, int right) {
      this.left = left;
      this.right = right;
    }

    void occursIn(int word) {
      if (size > 0 && words[size - 1] == word) {
        return;
      }
      if (size == words.length) {
        words = Arrays.copyOf(words, 2 * size);
      }
      words[size++] = word;
    }
  }

  /** Holds a pair with its frequency at the time it was queued. */
  private record Candidate(Pair pair, long count) {}

  private final WordCounts words;

  /**
   * The tokens of word {@code w} are {@code tokens[words.start(w), words.start(w) + lengths[w])}.
   */
  private final int[] tokens;

  private final int[] lengths;
  private final Map<Long, Pair> pairs = new HashMap<>();
  private final PriorityQueue<Candidate> queue =
      new PriorityQueue<>(
          Comparator.comparingLong((Candidate candidate) -> -candidate.count)
              .thenComparingInt(candidate -> candidate.pair.left)
              .thenComparingInt(candidate -> candidate.pair.right));

  /**
   * Pairs that are not queued yet. Only the merge that makes a token makes pairs with it; later
   * merges lower their frequency.
   */
  private final List<Pair> fresh = new ArrayList<>();

  /**
   * Counts the pairs of single bytes.
   *
   * @param byteIds the token of each byte
   */
  PairCounts(WordCounts words, int[] byteIds) {
    this.words = words;
    tokens = new int[words.start(words.size())];
    lengths = new int[words.size()];
    Arrays.setAll(tokens, i -> byteIds[words.at(i) & 0xFF]);
    for (int word = 0; word < lengths.length; word++) {
      int start = words.start(word);
      lengths[word] = words.start(word + 1) - start;
      for (int i = start + 1; i < words.start(word + 1); i++) {
        raise(tokens[i - 1], tokens[i], word);
      }
    }
    enqueueFresh();
  }

  /**
   * Returns the most frequent pair, of several the one with the lowest ids; null if none occurs
   * twice.
   */
  @Nullable Pair best() {
    for (Candidate top = queue.poll(); top != null; top = queue.poll()) {
      long count = top.pair.count;
      if (count == top.count) {
        return top.pair;
      }
      if (count >= LEAST) {
        queue.add(new Candidate(top.pair, count)); // its frequency has fallen: queue it again
      }
    }
    return null;
  }

  /** Replaces the pair by the token {@code merged} in all words. */
  void merge(Pair pair, int merged) {
    for (int i = 0; i < pair.size; i++) {
      merge(pair, merged, pair.words[i]);
    }
    pairs.remove(key(pair.left, pair.right));
    enqueueFresh();
  }

  private void merge(Pair pair, int merged, int word) {
    int start = words.start(word);
    int end = start + lengths[word];
    int kept = start;
    for (int i = start; i < end; i++) {
      if (tokens[i] != pair.left || i + 1 == end || tokens[i + 1] != pair.right) {
        tokens[kept++] = tokens[i];
        continue;
      }
      if (kept > start) {
        lower(tokens[kept - 1], pair.left, word);
        raise(tokens[kept - 1], merged, word);
      }
      if (i + 2 < end) {
        lower(pair.right, tokens[i + 2], word);
        raise(merged, tokens[i + 2], word);
      }
      tokens[kept++] = merged;
      i++;
    }
    lengths[word] = kept - start;
  }

  private void lower(int left, int right, int word) {
    Objects.requireNonNull(pairs.get(key(left, right))).count -= words.count(word);
  }

  private void raise(int left, int right, int word) {
    Pair pair = pairs.get(key(left, right));
    if (pair == null) {
      pair = new Pair(left, right);
      pairs.put(key(left, right), pair);
      fresh.add(pair);
    }
    pair.count += words.count(word);
    pair.occursIn(word);
  }

  private void enqueueFresh() {
    fresh.stream()
        .filter(pair -> pair.count >= LEAST)
        .map(pair -> new Candidate(pair, pair.count))
        .forEach(queue::add);
    fresh.clear();
  }

  private static long key(int left, int right) {
    return (long) left << 32 | right;
  }

  /** Returns the tokens of the whole corpus after the merges so far. */
  long tokens() {
    long total = 0;
    for (int word = 0; word < lengths.length; word++) {
      total += lengths[word] * words.count(word);
    }
    return total;
  }
}
