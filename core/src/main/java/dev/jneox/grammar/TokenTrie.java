package dev.jneox.grammar;

import dev.jneox.io.InputException;
import dev.jneox.tokenizer.Tokenizer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Collection;
import java.util.List;

/**
 * Holds the bytes of all ids of a tokenizer as a trie, which a form is walked along to find the ids
 * that it allows. Made once for a model, in some tenths of a second, and used by any number of
 * forms and threads.
 *
 * <p>Added tokens are no text: no form allows them, except the ids that end a text, where it may
 * end.
 */
public final class TokenTrie {
  /** Is the trie of the ids in one place of a text: nodes by rising length, children together. */
  static final class Level {
    final byte[] bytes; // of each node, after those of its parent
    final int[] children; // those of node i are children[i] to children[i + 1]
    final int[] ids; // those that end at node i are ids[idsFrom[i]] to ids[idsFrom[i + 1]]
    final int[] idsFrom;

    /** Builds the trie of the texts that are not empty. */
    Level(byte[][] texts) {
      Integer[] order = new Integer[texts.length];
      Arrays.setAll(order, i -> i);
      Arrays.sort(
          order,
          (a, b) -> {
            int by = Arrays.compareUnsigned(texts[a], texts[b]);
            return by != 0 ? by : Integer.compare(a, b);
          });
      int total = 1;
      for (byte[] text : texts) {
        total = Math.addExact(total, text.length);
      }
      byte[] nodeBytes = new byte[total];
      int[] nodeChildren = new int[total + 1];
      int[] nodeIdsFrom = new int[total + 1];
      ids = new int[texts.length];
      int idCount = 0;
      // The ids below each node are a range of the order.
      List<int[]> ranges = new ArrayList<>();
      int from = 0;
      while (from < order.length && texts[order[from]].length == 0) {
        from++;
      }
      ranges.add(new int[] {from, order.length, 0});
      int size = 1;
      for (int node = 0; node < size; node++) {
        int[] range = ranges.get(node);
        ranges.set(node, new int[0]);
        int at = range[0];
        int depth = range[2];
        nodeIdsFrom[node] = idCount;
        while (at < range[1] && texts[order[at]].length == depth) {
          ids[idCount++] = order[at++];
        }
        nodeChildren[node] = size;
        while (at < range[1]) {
          byte b = texts[order[at]][depth];
          int end = at + 1;
          while (end < range[1] && texts[order[end]][depth] == b) {
            end++;
          }
          ranges.add(new int[] {at, end, depth + 1});
          nodeBytes[size++] = b;
          at = end;
        }
      }
      nodeChildren[size] = size;
      nodeIdsFrom[size] = idCount;
      bytes = Arrays.copyOf(nodeBytes, size);
      children = Arrays.copyOf(nodeChildren, size + 1);
      idsFrom = Arrays.copyOf(nodeIdsFrom, size + 1);
    }

    int size() {
      return bytes.length;
    }
  }

  private final byte[][] firstTexts;
  private final byte[][] laterTexts;
  private final Level first;
  private final Level later;
  private final BitSet ends = new BitSet();
  private final BitSet writable = new BitSet();

  private TokenTrie(byte[][] firstTexts, byte[][] laterTexts, Collection<Integer> ends) {
    this.firstTexts = firstTexts;
    this.laterTexts = laterTexts;
    this.later = new Level(laterTexts);
    boolean same = Arrays.deepEquals(firstTexts, laterTexts);
    this.first = same ? later : new Level(firstTexts);
    ends.forEach(this.ends::set);
    BitSet firstWritable = singles(firstTexts);
    writable.or(singles(laterTexts));
    writable.and(firstWritable);
  }

  private static BitSet singles(byte[][] texts) {
    BitSet singles = new BitSet();
    for (byte[] text : texts) {
      if (text.length == 1) {
        singles.set(text[0] & 0xFF);
      }
    }
    return singles;
  }

  /**
   * Reads the bytes of all ids.
   *
   * @param ends the ids that end a text in the model; a text that may end without one has to be
   *     complete there
   * @throws InputException where a token's text depends on the tokens around it
   */
  public static TokenTrie of(Tokenizer tokenizer, Collection<Integer> ends) {
    byte[][] first = new byte[tokenizer.vocabSize()][];
    byte[][] later = new byte[first.length][];
    for (int id = 0; id < first.length; id++) {
      boolean end = ends.contains(id);
      first[id] = end ? new byte[0] : tokenizer.bytes(id, true);
      later[id] = end ? first[id] : tokenizer.bytes(id, false);
    }
    return new TokenTrie(first, later, ends);
  }

  /** Returns the trie of the first ids of a text, or of those that follow. */
  Level level(boolean atStart) {
    return atStart ? first : later;
  }

  /** Returns what an id adds to a text. */
  byte[] bytes(int id, boolean atStart) {
    return (atStart ? firstTexts : laterTexts)[id];
  }

  BitSet ends() {
    return ends;
  }

  /** Returns the bytes that are tokens of their own, with which any text of them is written. */
  BitSet writable() {
    return writable;
  }

  int ids() {
    return laterTexts.length;
  }
}
