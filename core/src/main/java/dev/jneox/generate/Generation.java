package dev.jneox.generate;

import dev.jneox.generate.Generator.Listener;
import dev.jneox.generate.Generator.Request;
import dev.jneox.generate.Generator.Result;
import dev.jneox.generate.Generator.StopReason;
import dev.jneox.io.InputException;
import dev.jneox.model.ModelConfig;
import dev.jneox.tokenizer.Tokenizer;
import java.util.Arrays;
import java.util.BitSet;
import java.util.random.RandomGenerator;

/**
 * One text while it is written: draws tokens from scores, tells the listener, knows when to end.
 */
final class Generation {
  private final ModelConfig config;
  private final Request request;
  private final Listener listener;
  private final int[] prompt;
  private final RandomGenerator random;
  private final GeneratedText text; // null without a tokenizer
  private final Sampler.Scratch scratch = new Sampler.Scratch();
  private final BitSet seen = new BitSet();
  private final long start = System.nanoTime();
  private int[] ids;
  private int count;
  private StopReason reason;

  /**
   * @throws InputException if the request does not fit the model, or needs a tokenizer that is not
   *     there
   */
  Generation(ModelConfig config, Tokenizer tokenizer, Request request, Listener listener) {
    this.config = config;
    this.request = request;
    this.listener = listener;
    this.prompt = prompt(config, request);
    if (!request.stop().isEmpty() && tokenizer == null) {
      throw new InputException("stop strings need the model's tokenizer, and it has none");
    }
    this.random = request.sampler().random();
    this.text = tokenizer == null ? null : new GeneratedText(tokenizer, request.stop());
    Arrays.stream(prompt).forEach(seen::set);
    this.ids = new int[Math.min(limit(), 64)];
  }

  private static int[] prompt(ModelConfig config, Request request) {
    int[] prompt = request.promptIds();
    if (prompt.length == 0) {
      if (config.endOfText() < 0) {
        throw new InputException(
            "empty prompt: the model has no end-of-text token to begin a document with; give some"
                + " text");
      }
      prompt = new int[] {config.endOfText()};
    }
    checkIds(prompt, config);
    if (prompt.length > config.maxPositions()) {
      throw new InputException(
          "the prompt has "
              + prompt.length
              + " tokens, the model's context is "
              + config.maxPositions()
              + ": shorten it");
    }
    return prompt;
  }

  /** The ids must be rows of the embedding. */
  static void checkIds(int[] ids, ModelConfig config) {
    for (int i = 0; i < ids.length; i++) {
      if (ids[i] < 0 || ids[i] >= config.vocabSize()) {
        String expected = "an id from 0 to " + (config.vocabSize() - 1);
        throw new InputException(
            "token " + (i + 1) + ": expected " + expected + ", found " + ids[i]);
      }
    }
  }

  /** What the model reads first, never empty. */
  int[] prompt() {
    return prompt;
  }

  /** Most tokens that will be drawn. */
  private int limit() {
    return Math.min(request.maxTokens(), config.maxPositions() - prompt.length + 1);
  }

  /** Most positions that the model will read; the last token drawn is never read. */
  int positions() {
    return prompt.length + limit() - 1;
  }

  /** The latest token. */
  int last() {
    return ids[count - 1];
  }

  /**
   * Draws the next token from the scores {@code logits[at ...]}; returns whether another may
   * follow.
   */
  boolean next(float[] logits, int at) {
    int id = request.sampler().next(logits, at, config.usedVocab(), seen, random, scratch);
    if (count == ids.length) {
      ids = Arrays.copyOf(ids, 2 * count);
    }
    ids[count++] = id;
    seen.set(id);
    boolean end = id == config.endOfText() && !request.ignoreEnd();
    String piece = end || text == null ? "" : text.next(id);
    if (end) {
      reason = StopReason.END_OF_TEXT;
    } else if (text != null && text.stopped()) {
      reason = StopReason.STOP_STRING;
    } else if (count == limit()) {
      reason = count == request.maxTokens() ? StopReason.MAX_TOKENS : StopReason.CONTEXT_FULL;
    }
    if (reason != null && text != null) {
      piece += text.finish();
    }
    if (!listener.token(id, piece) && reason == null) {
      cancel();
    }
    return reason == null;
  }

  /** Ends the text here. */
  void cancel() {
    reason = StopReason.CANCELLED;
    if (text != null) {
      text.finish();
    }
  }

  Result result() {
    double seconds = (System.nanoTime() - start) / 1e9;
    return new Result(
        prompt,
        Arrays.copyOf(ids, count),
        text == null ? null : text.toString(),
        seconds,
        count / seconds,
        reason);
  }
}
