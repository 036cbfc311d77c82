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
 * The words of a corpus as tokens, with the number of times each pair of neighbours occurs, kept up
 * to date while pairs are merged: a merge looks only at the words that have the pair.
 */
final class PairCounts {
  /** A pair that occurs once has nothing to teach. */
  private static final int LEAST = 2;

  /** A pair of neighbours, how often it occurs, and the words in which it does or once did. */
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

  /** A pair with the count it had when it was put in the queue. */
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
   * Pairs not in the queue yet. Only the merge that makes a token makes pairs with it; later ones
   * lower their counts.
   */
  private final List<Pair> fresh = new ArrayList<>();

  /**
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
   * The pair that occurs most often, of several the one with the lowest ids; null if none occurs
   * twice.
   */
  @Nullable Pair best() {
    for (Candidate top = queue.poll(); top != null; top = queue.poll()) {
      long count = top.pair.count;
      if (count == top.count) {
        return top.pair;
      }
      if (count >= LEAST) {
        queue.add(new Candidate(top.pair, count)); // it has fallen since: back to its place
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

  /** Tokens of the whole corpus as it is merged so far. */
  long tokens() {
    long total = 0;
    for (int word = 0; word < lengths.length; word++) {
      total += lengths[word] * words.count(word);
    }
    return total;
  }
}
