package dev.jneox.corpus;

import java.util.List;

/**
 * Cuts spans of text out of documents that an earlier place of the corpus has: the first occurrence
 * in the order of ids and places stays. A document of which too little is left is removed.
 */
sealed interface SpanDedup extends Step permits UnitDedup, SubstringDedup {
  /**
   * Is a key of a text with its place.
   *
   * @param k1 half of a 128-bit hash
   * @param k2 the other half
   * @param at number of the unit or token at which it begins
   */
  record Key(long k1, long k2, int at) {}

  /**
   * Is a text without its repeated spans.
   *
   * @param text what is left
   * @param share of the characters that were cut, 0 to 1
   */
  record Cut(String text, double share) {}

  /** Returns the keys of a text by which repeated spans are found, or candidates for them. */
  List<Key> keys(String text);

  /** Cuts out the spans that begin at {@code places}, ascending. */
  Cut cut(String text, int[] places);

  /** Returns {@code n} spans that follow each other, from place {@code at} on. */
  String span(String text, int at, int n);

  /**
   * Returns the share of characters from which on a document is removed whole; above 1 for none.
   */
  double maxShare();
}
