package dev.jneox.infer;

import java.util.List;

/**
 * Holds what came of a {@link GenerationRequest}.
 *
 * @param promptIds the prompt as the model read it, never empty
 * @param prompt the prompt's tokens with their log-probabilities, from the request's {@code
 *     scoreFrom} on; empty where they were not asked for. A cancelled request may have fewer.
 * @param tokens every token drawn, an end-of-text or stop token included
 */
public record GenerationResult(
    int[] promptIds,
    List<Token> prompt,
    List<Token> tokens,
    FinishReason reason,
    Usage usage,
    Times times) {
  /**
   * Counts tokens.
   *
   * @param promptTokens ids of the prompt
   * @param reusedTokens of them, those whose keys and values were there already
   * @param newTokens tokens drawn
   */
  public record Usage(int promptTokens, int reusedTokens, int newTokens) {}

  /**
   * Holds seconds from the moment the request was submitted.
   *
   * @param queued until the engine began with it; NaN if it never did
   * @param firstToken until the first new token; NaN if there is none
   * @param end until the end
   */
  public record Times(double queued, double firstToken, double end) {}

  /** Copies the lists. */
  public GenerationResult {
    prompt = List.copyOf(prompt);
    tokens = List.copyOf(tokens);
  }

  /** Returns the ids of the new tokens. */
  public int[] ids() {
    return tokens.stream().mapToInt(Token::id).toArray();
  }

  /** Returns new tokens by seconds from submission to the end. */
  public double tokensPerSecond() {
    return tokens.size() / times.end();
  }
}
