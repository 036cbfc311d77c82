package dev.jneox.template;

/**
 * Bounds what rendering may cost, because a template comes with a model from elsewhere.
 *
 * @param steps evaluated nodes, elements and pieces of text that an operation goes through
 * @param text characters of all texts made on the way
 * @param output characters of the result, and of any one text
 */
record Limits(long steps, long text, int output) {
  /** Characters of a template; the longest known ones have 20,000. */
  static final int SOURCE = 1 << 20;

  /** Nested blocks, parentheses and operators of a template. */
  static final int NESTING = 100;

  /** Nested evaluations; Python stops such a recursion as well. */
  static final int DEPTH = 1500;

  /** Nested lists and maps of a value. */
  static final int VALUE_DEPTH = 200;

  /** Bits of an integer. */
  static final int BITS = 4096;

  static final Limits DEFAULT = new Limits(20_000_000, 128 << 20, 32 << 20);
}
