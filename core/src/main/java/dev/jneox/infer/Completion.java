package dev.jneox.infer;

import org.jspecify.annotations.Nullable;

/**
 * Holds what a {@link Generator} wrote.
 *
 * @param text of the new tokens, without end-of-text token and stop string; null without a
 *     tokenizer
 * @param generation the tokens, those of a stop string included and none behind it
 */
public record Completion(@Nullable String text, GenerationResult generation) {
  /** Returns why the text ended. */
  public FinishReason reason() {
    return generation.reason();
  }

  /** Returns the counts of tokens. */
  public GenerationResult.Usage usage() {
    return generation.usage();
  }
}
