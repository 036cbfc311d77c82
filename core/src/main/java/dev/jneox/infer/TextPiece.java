package dev.jneox.infer;

/**
 * Holds a token and the text that became certain with it.
 *
 * @param text perhaps empty: a character waits for the last of its tokens, and what may be the
 *     start of a stop string waits until it is one or is not. Empty without a tokenizer.
 */
public record TextPiece(Token token, String text) {
  /** Returns the token's id. */
  public int id() {
    return token.id();
  }

  /** Returns the token's log-probability, NaN where it was not asked for; see {@link Token}. */
  public double logProb() {
    return token.logProb();
  }
}
