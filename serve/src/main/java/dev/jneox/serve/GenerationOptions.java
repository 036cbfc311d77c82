package dev.jneox.serve;

import com.fasterxml.jackson.databind.JsonNode;
import dev.jneox.infer.GenerationRequest;
import dev.jneox.infer.Sampler;
import dev.jneox.infer.TokenConstraint;
import dev.jneox.model.SamplingDefaults;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import java.util.concurrent.ThreadLocalRandom;

/**
 * Holds what a request says about drawing tokens, in the fields that completions and chat share.
 *
 * @param choices answers that are wanted for a prompt
 * @param sampler with the seed of the first answer; the next ones have the next seeds
 * @param stop strings that end an answer
 * @param least tokens of an answer, where it is not to end before
 * @param form that answers are held to
 */
record GenerationOptions(
    int choices,
    Sampler sampler,
    List<String> stop,
    Set<Integer> stopIds,
    boolean ignoreEnd,
    Optional<LeastTokens> least,
    boolean stream,
    boolean streamUsage,
    Optional<TokenConstraint> form) {
  /** Most answers to one prompt. */
  static final int MOST_CHOICES = 128;

  private static final int MOST_STOPS = 64;
  private static final int MOST_BIASES = 1024;

  /** Reads the fields; those not given are as the model's authors say, else OpenAI's defaults. */
  static GenerationOptions read(Body body, ServedModel model) {
    SamplingDefaults defaults = model.model().sampling();
    OptionalLong seed = body.wholeNumber("seed");
    Sampler sampler =
        Sampler.GREEDY
            .withTemperature(body.number("temperature", defaults.temperature().orElse(1), 0, 1e6))
            .withTopK(topK(body, defaults))
            .withTopP(body.number("top_p", defaults.topP().orElse(1), 0, 1))
            .withMinP(body.number("min_p", 0, 0, 1))
            .withRepetitionPenalty(
                body.number(
                    "repetition_penalty", defaults.repetitionPenalty().orElse(1), 1e-3, 1e3))
            .withPresencePenalty(body.number("presence_penalty", 0, -100, 100))
            .withFrequencyPenalty(body.number("frequency_penalty", 0, -100, 100))
            .withLogitBias(logitBias(body, model))
            .withSeed(seed.orElseGet(() -> ThreadLocalRandom.current().nextLong()));
    boolean stream = body.flag("stream", false);
    Optional<Body> streamOptions = body.object("stream_options");
    boolean usage = false;
    if (streamOptions.isPresent()) {
      if (!stream) {
        throw ApiException.invalid(
            "stream_options", "stream_options: expected only with stream: true");
      }
      usage = streamOptions.get().flag("include_usage", false);
      streamOptions.get().ignore("include_obfuscation", "continuous_usage_stats");
      streamOptions.get().end();
    }
    List<String> stop = body.strings("stop", MOST_STOPS);
    if (stop.contains("")) {
      throw ApiException.invalid("stop", "stop: expected strings with some text, found \"\"");
    }
    // What callers are accounted by, and what chooses among OpenAI's own services.
    for (String name : List.of("user", "service_tier", "prompt_cache_key", "safety_identifier")) {
      body.string(name);
    }
    body.get("metadata").ifPresent(value -> body.checked("metadata", value));
    body.flag("store", false);
    // The end of a text is never in it, other special tokens are; a prompt gets none.
    body.flag("skip_special_tokens", true);
    body.only("return_token_ids", false, "ids are not returned: see /tokenize");
    body.refuse("prompt_logprobs", "use echo with logprobs in /v1/completions");
    Set<Integer> stopIds = stopIds(body, model);
    boolean ignoreEnd = body.flag("ignore_eos", false);
    return new GenerationOptions(
        body.integer("n", 1, MOST_CHOICES).orElse(1),
        sampler,
        stop,
        stopIds,
        ignoreEnd,
        least(body, model, stopIds, ignoreEnd),
        stream,
        usage,
        Forms.read(body, model));
  }

  private static Optional<LeastTokens> least(
      Body body, ServedModel model, Set<Integer> stopIds, boolean ignoreEnd) {
    int least = body.integer("min_tokens", 0, model.context()).orElse(0);
    if (least == 0) {
      return Optional.empty();
    }
    Set<Integer> ends = new HashSet<>(stopIds);
    if (!ignoreEnd) {
      ends.addAll(model.model().spec().vocabulary().ends());
    }
    int ids = model.model().spec().vocabulary().used();
    return Optional.of(new LeastTokens(least, ends, ids, Optional.empty()));
  }

  /** Reads vLLM's and llama.cpp's number of tokens to draw from; 0 and -1 are all. */
  private static int topK(Body body, SamplingDefaults defaults) {
    return Math.max(
        0, body.integer("top_k", -1, Integer.MAX_VALUE).orElse(defaults.topK().orElse(0)));
  }

  private static Map<Integer, Double> logitBias(Body body, ServedModel model) {
    Optional<JsonNode> value = body.get("logit_bias");
    if (value.isEmpty()) {
      return Map.of();
    }
    Body biases = body.object("logit_bias", value.get());
    if (value.get().size() > MOST_BIASES) {
      throw body.invalid(
          "logit_bias", "at most " + MOST_BIASES + " tokens", value.get().size() + " of them");
    }
    Map<Integer, Double> found = new HashMap<>();
    for (Iterator<String> names = value.get().fieldNames(); names.hasNext(); ) {
      String name = names.next();
      if (!name.matches("0|[1-9]\\d{0,8}")
          || Integer.parseInt(name) >= model.model().spec().vocabulary().rows()) {
        throw body.invalid(
            "logit_bias",
            "token ids from 0 to " + (model.model().spec().vocabulary().rows() - 1),
            '"' + dev.jneox.io.VisibleText.of(name) + '"');
      }
      found.put(Integer.parseInt(name), biases.number(name, 0, -100, 100));
    }
    return found;
  }

  private static Set<Integer> stopIds(Body body, ServedModel model) {
    Set<Integer> ids = new HashSet<>();
    Optional<JsonNode> value = body.get("stop_token_ids");
    if (value.isPresent()) {
      if (!value.get().isArray()) {
        throw body.wrong("stop_token_ids", "a list of token ids", value.get());
      }
      for (JsonNode id : value.get()) {
        ids.add(
            (int)
                body.whole(
                    "stop_token_ids[" + ids.size() + "]",
                    id,
                    0,
                    model.model().spec().vocabulary().rows() - 1));
      }
    }
    return ids;
  }

  /**
   * Returns a copy whose answers are held to a form.
   *
   * @throws ApiException when they are held to one already
   */
  GenerationOptions withForm(TokenConstraint value) {
    if (form.isPresent()) {
      throw ApiException.invalid("text", "text: expected one form of the answer, found two");
    }
    return new GenerationOptions(
        choices, sampler, stop, stopIds, ignoreEnd, least, stream, streamUsage, Optional.of(value));
  }

  /**
   * Checks that the answer may be as long as it must be.
   *
   * @throws ApiException when it may not
   */
  void checkLeast(int maxTokens) {
    if (least.isPresent() && least.get().least() > maxTokens) {
      throw ApiException.invalid(
          "min_tokens",
          "min_tokens: expected at most the %d of max_tokens, found %d"
              .formatted(maxTokens, least.get().least()));
    }
  }

  /** Begins the engine's request for an answer. */
  GenerationRequest.Builder request(int[] prompt, int maxTokens, int choice) {
    return request(prompt, maxTokens, choice, form);
  }

  /** The same, for an answer that is held to a form of its own. */
  GenerationRequest.Builder request(
      int[] prompt, int maxTokens, int choice, Optional<TokenConstraint> held) {
    GenerationRequest.Builder builder =
        GenerationRequest.builder(prompt)
            .maxTokens(maxTokens)
            .sampler(sampler.withSeed(sampler.seed() + choice))
            .stopIds(stopIds);
    least
        .<TokenConstraint>map(it -> new LeastTokens(it.least(), it.ends(), it.ids(), held))
        .or(() -> held)
        .ifPresent(builder::constraint);
    return ignoreEnd ? builder.ignoreEnd() : builder;
  }
}
