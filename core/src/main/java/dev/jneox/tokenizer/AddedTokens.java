package dev.jneox.tokenizer;

import java.util.Arrays;
import java.util.List;

/**
 * Finds added tokens in a text: the longest one at each place, from left to right, without overlap.
 * An Aho-Corasick automaton (1975) of the reversed tokens reads the text from its end to its start;
 * at each place it knows the longest token that starts there. The time is proportional to the text,
 * whatever the number and length of the tokens.
 */
final class AddedTokens {
  private static final long[] NONE = {};

  /** Views a text as the symbols that the tokens consist of, and as code points. */
  interface Text {
    /** Returns the symbol at a place: a byte (0 to 255) or a UTF-16 unit. */
    int symbol(int at);

    int codePoint(int at);

    /** Returns where the code point that ends before {@code at} starts. */
    int before(int at);

    /** Returns where the code point that starts at {@code at} ends. */
    int after(int at);
  }

  /** Receives the parts of a text in order. */
  interface Parts {
    void token(int id);

    /** Receives the text between two tokens; never empty. */
    void text(int from, int to);
  }

  private final List<AddedToken> tokens;
  private final int[] lengths;
  private final Trie trie = new Trie();

  /** For each node the node of the longest proper suffix of its word in the trie. */
  private final int[] suffixes;

  /** For each node one more than the index of the longest token that is a suffix of its word. */
  private final int[] ends;

  /** Whether a token ends with a symbol of these low eight bits. */
  private final boolean[] last = new boolean[256];

  /**
   * Builds the automaton.
   *
   * @param written the symbols of each token, never empty; of equal ones the first wins
   * @throws ArithmeticException where all together are longer than {@link Trie#LARGEST}
   */
  AddedTokens(List<AddedToken> tokens, List<char[]> written) {
    this.tokens = List.copyOf(tokens);
    lengths = written.stream().mapToInt(symbols -> symbols.length).toArray();
    int[] nodes = new int[lengths.length];
    for (int i = 0; i < nodes.length; i++) {
      char[] symbols = written.get(i);
      last[symbols[symbols.length - 1] & 0xFF] = true;
      for (int at = symbols.length - 1; at >= 0; at--) {
        nodes[i] = trie.grow(nodes[i], symbols[at]);
      }
    }
    suffixes = new int[trie.size()];
    ends = new int[trie.size()];
    for (int i = nodes.length - 1; i >= 0; i--) {
      ends[nodes[i]] = i + 1;
    }
    connect();
  }

  /** Fills {@link #suffixes} and {@link #ends}, shorter words before longer ones. */
  private void connect() {
    int[] parents = new int[trie.size()];
    char[] symbols = new char[trie.size()];
    trie.edges(
        (node, symbol, child) -> {
          parents[child] = node;
          symbols[child] = (char) symbol;
        });
    // A child has a larger number than its parent; so the depths are known in the order of nodes.
    int[] depths = new int[trie.size()];
    int[] starts = new int[trie.size() + 1];
    for (int node = 1; node < depths.length; node++) {
      depths[node] = depths[parents[node]] + 1;
      starts[depths[node]]++;
    }
    for (int depth = 1, sum = 0; depth < starts.length; depth++) {
      int count = starts[depth];
      starts[depth] = sum;
      sum += count;
    }
    int[] order = new int[trie.size() - 1];
    for (int node = 1; node < depths.length; node++) {
      order[starts[depths[node]]++] = node;
    }
    for (int node : order) {
      if (parents[node] != 0) {
        suffixes[node] = step(suffixes[parents[node]], symbols[node]);
      }
      if (ends[node] == 0) {
        ends[node] = ends[suffixes[node]];
      }
    }
  }

  private int step(int node, int symbol) {
    while (true) {
      int child = trie.child(node, symbol);
      if (child != 0 || node == 0) {
        return child;
      }
      node = suffixes[node];
    }
  }

  boolean isEmpty() {
    return tokens.isEmpty();
  }

  /**
   * Splits a text into tokens and the text between them, by the tokens' rules for white space and
   * words.
   */
  void cut(Text text, int from, int to, Parts parts) {
    long[] found = tokens.isEmpty() ? NONE : find(text, from, to);
    int done = from;
    int end = from;
    int spaces = from; // the white space last looked at ends here
    for (int i = found.length - 1; i >= 0; i--) {
      int at = (int) (found[i] >>> 32);
      if (at < end) {
        continue; // within the token before
      }
      AddedToken token = tokens.get((int) found[i]);
      end = at + lengths[(int) found[i]];
      if (token.singleWord() && !aWord(text, from, at, end, to)) {
        continue;
      }
      // White space belongs to the previous token if that took it.
      int start = token.lstrip() ? Math.max(done, spacesBefore(text, done, at)) : at;
      int stop = end;
      if (token.rstrip()) {
        spaces = end < spaces ? spaces : spacesAfter(text, end, to);
        stop = spaces;
      }
      if (done < start) {
        parts.text(done, start);
      }
      if (start < stop) { // the library drops a token of which nothing is left
        parts.token(token.id());
      }
      // A later token may begin in the white space that this one took: the library then takes up
      // from that token's end.
      done = stop;
    }
    if (done < to) {
      parts.text(done, to);
    }
  }

  /**
   * Returns the longest token at each place where one starts, the last place first: (start, index)
   * as the halves of a long.
   */
  private long[] find(Text text, int from, int to) {
    long[] found = NONE;
    int size = 0;
    int node = 0;
    for (int at = to - 1; at >= from; at--) {
      int symbol = text.symbol(at);
      if (node == 0 && !last[symbol & 0xFF]) {
        continue;
      }
      node = step(node, symbol);
      if (ends[node] != 0) {
        if (size == found.length) {
          found = Arrays.copyOf(found, Math.max(16, 2 * size));
        }
        found[size++] = (long) at << 32 | ends[node] - 1;
      }
    }
    return size == found.length ? found : Arrays.copyOf(found, size);
  }

  private static boolean aWord(Text text, int from, int at, int end, int to) {
    boolean before = at > from && CharacterClass.word(text.codePoint(text.before(at)));
    boolean after = end < to && CharacterClass.word(text.codePoint(end));
    return !before && !after;
  }

  private static int spacesBefore(Text text, int from, int at) {
    while (at > from) {
      int before = text.before(at);
      if (CharacterClass.of(text.codePoint(before)) != CharacterClass.SPACE) {
        return at;
      }
      at = before;
    }
    return at;
  }

  private static int spacesAfter(Text text, int at, int to) {
    while (at < to && CharacterClass.of(text.codePoint(at)) == CharacterClass.SPACE) {
      at = text.after(at);
    }
    return at;
  }
}
