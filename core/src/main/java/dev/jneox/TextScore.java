package dev.jneox;

import dev.jneox.infer.TextPiece;
import java.util.List;

/**
 * Says how likely a model finds a text.
 *
 * @param tokens the tokens that have a score, with their log-probabilities (natural logarithms) and
 *     the text that becomes certain with each
 */
public record TextScore(List<TextPiece> tokens) {
  /** Copies the list. */
  public TextScore {
    tokens = List.copyOf(tokens);
  }

  /** Returns the sum of the tokens' log-probabilities. */
  public double logProb() {
    return tokens.stream().mapToDouble(TextPiece::logProb).sum();
  }
}
