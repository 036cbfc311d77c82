package dev.jneox.tokenizer;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.function.UnaryOperator;

/**
 * Finds added tokens in UTF-8 text: at each place the longest one, from left to right, none
 * overlapping. A trie over bytes.
 */
final class AddedTokens {
  private static final int FANOUT = 256;

  private final List<AddedToken> tokens;
  private final boolean[] starts = new boolean[FANOUT];

  /** Of each node its 256 children, 0 where there is none; node 0 is the root. */
  private int[] children = new int[FANOUT];

  /** Of each node one more than the index of the token that ends there, or 0. */
  private int[] ends = new int[1];

  private final int[] lengths;

  /**
   * @param form how the tokens are written in the text that will be searched
   */
  AddedTokens(List<AddedToken> tokens, UnaryOperator<String> form) {
    this.tokens = List.copyOf(tokens);
    this.lengths = new int[tokens.size()];
    for (int i = 0; i < lengths.length; i++) {
      byte[] bytes =
          Utf8.wellFormed(form.apply(tokens.get(i).content())).getBytes(StandardCharsets.UTF_8);
      lengths[i] = bytes.length;
      starts[bytes[0] & 0xFF] = true;
      int node = 0;
      for (byte b : bytes) {
        node = child(node, b);
      }
      ends[node] = i + 1;
    }
  }

  private int child(int node, byte b) {
    int edge = node * FANOUT + (b & 0xFF);
    if (children[edge] == 0) {
      int made = ends.length;
      ends = Arrays.copyOf(ends, made + 1);
      children = Arrays.copyOf(children, (made + 1) * FANOUT);
      children[edge] = made;
    }
    return children[edge];
  }

  boolean isEmpty() {
    return tokens.isEmpty();
  }

  AddedToken token(int index) {
    return tokens.get(index);
  }

  /** The bytes of a token's text. */
  int length(int index) {
    return lengths[index];
  }

  /**
   * The next token in the text: (where it starts, its index) as the two halves of a long, or -1 if
   * there is none.
   */
  long next(byte[] text, int from, int to) {
    for (int at = from; at < to; at++) {
      if (starts[text[at] & 0xFF]) {
        int index = longest(text, at, to);
        if (index >= 0) {
          return (long) at << 32 | index;
        }
      }
    }
    return -1;
  }

  /** The index of the longest token that starts at {@code at}, or -1. */
  private int longest(byte[] text, int at, int to) {
    int longest = 0;
    int node = 0;
    while (at < to && (node = children[node * FANOUT + (text[at++] & 0xFF)]) != 0) {
      if (ends[node] != 0) {
        longest = ends[node];
      }
    }
    return longest - 1;
  }
}
