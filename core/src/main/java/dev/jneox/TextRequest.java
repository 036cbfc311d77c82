package dev.jneox;

import dev.jneox.infer.GenerationRequest;
import dev.jneox.infer.Sampler;
import dev.jneox.infer.Taps;
import dev.jneox.io.InputException;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * Asks {@link Jneox} to continue a text. Starts with {@link #of}: 64 tokens, the likeliest each
 * time.
 *
 * @param prompt the text to continue; an empty one begins a document
 * @param maxTokens most tokens to write; the text ends before where the model's context is full
 * @param sampler how tokens are drawn, and the seed
 * @param stop strings that end the text, which is cut before them
 * @param logprobs asks for the log-probability of every token, and for those of so many of the
 *     likeliest tokens in its place
 * @param taps look at, or change, what flows through the model for this text
 */
public record TextRequest(
    String prompt,
    int maxTokens,
    Sampler sampler,
    List<String> stop,
    OptionalInt logprobs,
    Optional<Taps> taps) {
  private static final int MAX_TOKENS = 64;

  /**
   * @throws InputException that names the setting which is out of range
   */
  public TextRequest {
    Objects.requireNonNull(prompt, "prompt");
    Objects.requireNonNull(sampler, "sampler");
    Objects.requireNonNull(taps, "taps");
    stop = List.copyOf(stop);
    if (stop.contains("")) {
      throw new InputException("stop string: expected some text, found none");
    }
    generation(maxTokens, sampler, logprobs, taps); // checks them
  }

  /** Makes a request with the defaults. */
  public static TextRequest of(String prompt) {
    return new TextRequest(
        prompt, MAX_TOKENS, Sampler.GREEDY, List.of(), OptionalInt.empty(), Optional.empty());
  }

  /** Returns a copy with another prompt. */
  public TextRequest withPrompt(String value) {
    return new TextRequest(value, maxTokens, sampler, stop, logprobs, taps);
  }

  /** Returns a copy that draws at most so many tokens. */
  public TextRequest withMaxTokens(int value) {
    return new TextRequest(prompt, value, sampler, stop, logprobs, taps);
  }

  /** Sets the temperature: 0 takes the likeliest token each time, 1 draws as the model says. */
  public TextRequest withTemperature(double value) {
    return withSampler(sampler.withTemperature(value));
  }

  /** Draws from the {@code value} likeliest tokens only, at a temperature above 0; 0 is all. */
  public TextRequest withTopK(int value) {
    return withSampler(sampler.withTopK(value));
  }

  /**
   * Draws from the likeliest tokens that together pass a probability, at a temperature above 0; 1
   * is all.
   */
  public TextRequest withTopP(double value) {
    return withSampler(sampler.withTopP(value));
  }

  /** Makes tokens that are in the text already less likely, above 1; 1 changes nothing. */
  public TextRequest withRepetitionPenalty(double value) {
    return withSampler(sampler.withRepetitionPenalty(value));
  }

  /** Sets the seed: the same one draws the same text. */
  public TextRequest withSeed(long value) {
    return withSampler(sampler.withSeed(value));
  }

  /** Returns a copy whose tokens are drawn by another sampler. */
  public TextRequest withSampler(Sampler value) {
    return new TextRequest(prompt, maxTokens, value, stop, logprobs, taps);
  }

  /** Returns a copy that these strings end; they replace those before. */
  public TextRequest withStop(String... values) {
    return new TextRequest(prompt, maxTokens, sampler, List.of(values), logprobs, taps);
  }

  /** Asks for log-probabilities, and for those of {@code top} candidates for each token. */
  public TextRequest withLogprobs(int top) {
    return new TextRequest(prompt, maxTokens, sampler, stop, OptionalInt.of(top), taps);
  }

  /**
   * Has taps look at, or change, what flows through the model: each position of the prompt and of
   * the text, but the last token drawn, which is not read. They are called by the engine's thread,
   * which waits for them; what they throw ends this text alone, and reaches its reader.
   */
  public TextRequest withTaps(Taps value) {
    return new TextRequest(prompt, maxTokens, sampler, stop, logprobs, Optional.of(value));
  }

  /** Returns the request as the engine takes it. */
  GenerationRequest generation(int... promptIds) {
    return generation(maxTokens, sampler, logprobs, taps, promptIds);
  }

  private static GenerationRequest generation(
      int maxTokens, Sampler sampler, OptionalInt logprobs, Optional<Taps> taps, int... promptIds) {
    GenerationRequest.Builder builder =
        GenerationRequest.builder(promptIds).maxTokens(maxTokens).sampler(sampler);
    logprobs.ifPresent(builder::logprobs);
    taps.ifPresent(builder::taps);
    return builder.build();
  }
}
