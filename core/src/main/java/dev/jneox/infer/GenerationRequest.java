package dev.jneox.infer;

import dev.jneox.io.InputException;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;

/**
 * Asks an {@link Engine} to continue a sequence of ids, to score it, or both. Made by {@link
 * #builder}.
 *
 * @param promptIds the sequence to continue; empty begins a document, after the end-of-text token,
 *     as in GPT-NeoX
 * @param maxTokens most tokens to draw, from 1; 0 where the prompt is only to be scored
 * @param stopIds ids that end the sequence, beside those of the model ({@code Vocabulary.ends})
 * @param ignoreEnd goes on past the ids that end a text in the model, which then are tokens like
 *     others
 * @param logprobs asks for the log-probability of every new token, and for those of so many of the
 *     likeliest ids in its place
 * @param promptLogprobs asks for the same of the prompt's ids, from {@code scoreFrom} on
 * @param scoreFrom the first position of the prompt whose log-probability is wanted, from 1:
 *     nothing is before position 0. Keys and values of a shared prefix save the work before it.
 * @param prefixKey only requests with the same one share prefixes
 * @param taps look at, or change, the rows of this request alone; it shares no prefix. They are
 *     called by the engine's thread, which waits for them. What they throw ends the request, and
 *     its reader gets it.
 * @param constraint restricts the ids that may be drawn
 */
public record GenerationRequest(
    int[] promptIds,
    int maxTokens,
    Sampler sampler,
    Set<Integer> stopIds,
    boolean ignoreEnd,
    OptionalInt logprobs,
    OptionalInt promptLogprobs,
    int scoreFrom,
    PrefixKey prefixKey,
    Optional<Taps> taps,
    Optional<TokenConstraint> constraint) {
  /** Most candidates per position. */
  public static final int MAX_LOGPROBS = 1000;

  /**
   * @throws InputException that names the option which is out of range
   */
  public GenerationRequest {
    promptIds = promptIds.clone();
    stopIds = Set.copyOf(stopIds);
    Objects.requireNonNull(sampler);
    Objects.requireNonNull(prefixKey);
    Objects.requireNonNull(taps);
    Objects.requireNonNull(constraint);
    int least = promptLogprobs.isPresent() ? 0 : 1;
    if (maxTokens < least) {
      throw new InputException("max tokens: expected " + least + " or more, found " + maxTokens);
    }
    check("logprobs", logprobs);
    check("prompt logprobs", promptLogprobs);
    int longest = Math.max(1, promptIds.length);
    if (scoreFrom < 1 || scoreFrom > longest) {
      throw new InputException(
          "score from: expected a position from 1 to " + longest + ", found " + scoreFrom);
    }
  }

  private static void check(String name, OptionalInt candidates) {
    if (candidates.isPresent()
        && (candidates.getAsInt() < 0 || candidates.getAsInt() > MAX_LOGPROBS)) {
      throw new InputException(
          name + ": expected 0 to " + MAX_LOGPROBS + ", found " + candidates.getAsInt());
    }
  }

  /** Starts a request that draws at most 64 tokens greedily. */
  public static Builder builder(int... promptIds) {
    return new Builder(promptIds);
  }

  /** Collects the options of a request by name. */
  public static final class Builder {
    private final int[] promptIds;
    private int maxTokens = 64;
    private Sampler sampler = Sampler.GREEDY;
    private Set<Integer> stopIds = Set.of();
    private boolean ignoreEnd;
    private OptionalInt logprobs = OptionalInt.empty();
    private OptionalInt promptLogprobs = OptionalInt.empty();
    private int scoreFrom = 1;
    private PrefixKey prefixKey = PrefixKey.NONE;
    private Optional<Taps> taps = Optional.empty();
    private Optional<TokenConstraint> constraint = Optional.empty();

    private Builder(int[] promptIds) {
      this.promptIds = promptIds;
    }

    /** Sets the most tokens to draw. */
    public Builder maxTokens(int value) {
      maxTokens = value;
      return this;
    }

    /** Sets how tokens are drawn, and the seed. */
    public Builder sampler(Sampler value) {
      sampler = value;
      return this;
    }

    /** Sets the ids that end the sequence, beside those of the model. */
    public Builder stopIds(Set<Integer> value) {
      stopIds = value;
      return this;
    }

    /** Goes on past the ids that end a text in the model. */
    public Builder ignoreEnd() {
      ignoreEnd = true;
      return this;
    }

    /** Asks for the log-probabilities of new tokens and of {@code top} candidates for each. */
    public Builder logprobs(int top) {
      logprobs = OptionalInt.of(top);
      return this;
    }

    /**
     * Asks for the log-probabilities of the prompt's ids and of {@code top} candidates for each.
     */
    public Builder promptLogprobs(int top) {
      promptLogprobs = OptionalInt.of(top);
      return this;
    }

    /** Sets the first position of the prompt whose log-probability is wanted. */
    public Builder scoreFrom(int position) {
      scoreFrom = position;
      return this;
    }

    /** Sets what must be equal for prefixes to be shared. */
    public Builder prefixKey(PrefixKey value) {
      prefixKey = value;
      return this;
    }

    /** Has taps look at the request's rows. */
    public Builder taps(Taps value) {
      taps = Optional.of(value);
      return this;
    }

    /** Restricts the ids that may be drawn. */
    public Builder constraint(TokenConstraint value) {
      constraint = Optional.of(value);
      return this;
    }

    /**
     * Makes the request.
     *
     * @throws InputException that names the option which is out of range
     */
    public GenerationRequest build() {
      return new GenerationRequest(
          promptIds,
          maxTokens,
          sampler,
          stopIds,
          ignoreEnd,
          logprobs,
          promptLogprobs,
          scoreFrom,
          prefixKey,
          taps,
          constraint);
    }
  }
}
