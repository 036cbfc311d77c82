package dev.jneox.tokenizer;

import java.util.List;

/** Is a regular expression as {@link RegexParser} reads it. */
sealed interface RegexNode {
  /** Matches one character of a set. */
  record One(CodePointSet set) implements RegexNode {}

  /** Matches nodes one after the other; matches the empty text when there are none. */
  record All(List<RegexNode> parts) implements RegexNode {}

  /** Tries nodes in order. */
  record Any(List<RegexNode> choices) implements RegexNode {}

  /**
   * @param most -1 for no limit
   */
  record Repeat(RegexNode body, int least, int most, Greed greed) implements RegexNode {}

  /** Says how much a repetition takes at first, and whether it gives characters back. */
  enum Greed {
    GREEDY,
    LAZY,
    POSSESSIVE
  }

  /** Matches once and is not retried. */
  record Atomic(RegexNode body) implements RegexNode {}

  /** Looks at the text ahead or behind. */
  record Look(RegexNode body, boolean ahead, boolean negative) implements RegexNode {}

  /** Matches a position. */
  enum Place implements RegexNode {
    LINE_START,
    LINE_END,
    TEXT_START,
    TEXT_END,
    TEXT_END_OR_LAST_NEWLINE,
    WORD_BORDER,
    NO_WORD_BORDER
  }
}
