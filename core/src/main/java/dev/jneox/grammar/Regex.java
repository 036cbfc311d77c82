package dev.jneox.grammar;

import dev.jneox.tokenizer.CodePointSet;
import java.util.List;

/** Is a regular expression as {@link RegexReader} reads it. */
sealed interface Regex {
  /** Is the upper bound of a repetition that has none. */
  int NO_LIMIT = Integer.MAX_VALUE;

  /** Matches one character of a set. */
  record One(CodePointSet set) implements Regex {}

  /** Matches expressions one after the other; matches the empty text when there are none. */
  record All(List<Regex> parts) implements Regex {}

  /** Matches one of several. */
  record Any(List<Regex> choices) implements Regex {}

  /** Matches a number of times. */
  record Repeat(Regex body, int least, int most) implements Regex {}
}
