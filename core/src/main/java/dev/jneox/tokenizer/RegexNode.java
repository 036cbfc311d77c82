package dev.jneox.tokenizer;

import java.util.List;

/** A regular expression as {@link RegexParser} reads it. */
sealed interface RegexNode {
  /** One character of a set. */
  record One(CodePointSet set) implements RegexNode {}

  /** One after the other; nothing at all where there are none. */
  record All(List<RegexNode> parts) implements RegexNode {}

  /** The first that leads to a match. */
  record Any(List<RegexNode> choices) implements RegexNode {}

  /**
   * @param most -1 for no limit
   */
  record Repeat(RegexNode body, int least, int most, Greed greed) implements RegexNode {}

  /** How much a repetition takes at first, and whether it gives back. */
  enum Greed {
    GREEDY,
    LAZY,
    POSSESSIVE
  }

  /** What is matched once and not tried in another way. */
  record Atomic(RegexNode body) implements RegexNode {}

  /** A look at what follows or precedes. */
  record Look(RegexNode body, boolean ahead, boolean negative) implements RegexNode {}

  /** A place. */
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
