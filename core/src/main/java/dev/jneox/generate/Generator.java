package dev.jneox.generate;

import dev.jneox.io.InputException;
import dev.jneox.model.CausalLM;
import dev.jneox.model.Hooks;
import dev.jneox.model.KvCache;
import dev.jneox.model.ModelConfig;
import dev.jneox.tensor.Tensors;
import dev.jneox.tokenizer.Tokenizer;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.random.RandomGenerator;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;

/**
 * Continues texts, one token at a time: the prompt goes through the model in one pass, every further token alone, over the keys
 * and values that a {@link KvCache} keeps of those before it. Holds no state of a text: several threads may use one generator.
 */
public final class Generator {
  private final CausalLM model;
  private final Tokenizer tokenizer;

  /** @param tokenizer of the model, or null to work on ids alone */
  public Generator(CausalLM model, Tokenizer tokenizer) {
    this.model = model;
    this.tokenizer = tokenizer;
  }

  /**
   * What to write.
   *
   * @param promptIds what to continue; empty begins a document, after the end-of-text token, as in GPT-NeoX
   * @param maxTokens most tokens to draw, from 1
   * @param stop strings that end the text, which is cut before them; they need not be whole tokens
   */
  public record Request(int[] promptIds, int maxTokens, Sampler sampler, List<String> stop) {
    /** @throws InputException if {@code maxTokens} is below 1 or a stop string is empty */
    public Request {
      if (maxTokens < 1) {
        throw new InputException("max tokens: expected 1 or more, found " + maxTokens);
      }
      stop = List.copyOf(stop);
      if (stop.contains("")) {
        throw new InputException("stop string: expected some text, found none");
      }
    }
  }

  /** Why a text ended. */
  public enum StopReason {
    END_OF_TEXT("end of text"),
    STOP_STRING("stop string"),
    MAX_TOKENS("as many tokens as asked for"),
    CONTEXT_FULL("the model's context is full"),
    CANCELLED("cancelled");

    private final String description;

    StopReason(String description) {
      this.description = description;
    }

    /** In words, for people. */
    public String description() {
      return description;
    }
  }

  /**
   * What was written.
   *
   * @param promptIds the prompt as the model read it, never empty
   * @param ids every token drawn, an end-of-text token or the tokens of a stop string included
   * @param text of {@code ids}, without end-of-text token and stop string; null without a tokenizer
   * @param seconds from the prompt to the last token
   * @param tokensPerSecond tokens drawn by {@code seconds}
   */
  public record Result(int[] promptIds, int[] ids, String text, double seconds, double tokensPerSecond, StopReason stopReason) {}

  /** Looks on as a text grows. */
  @FunctionalInterface
  public interface Listener {
    /** Waits for the end. */
    Listener NONE = (id, text) -> true;

    /**
     * Called with every token as it is drawn.
     *
     * @param text what has become certain of the text, perhaps nothing; all the pieces together are the result's text, unless
     *     cancelled. Empty without a tokenizer.
     * @return whether to go on; false cancels
     */
    boolean token(int id, String text);
  }

  /**
   * Writes a text.
   *
   * @throws InputException if the prompt does not fit the model, or needs a tokenizer that is not there
   */
  public Result generate(Request request, Listener listener) {
    ModelConfig config = model.config();
    int[] prompt = prompt(request);
    if (!request.stop().isEmpty() && tokenizer == null) {
      throw new InputException("stop strings need the model's tokenizer, and it has none");
    }
    Sampler sampler = request.sampler();
    RandomGenerator random = sampler.random();
    GeneratedText text = tokenizer == null ? null : new GeneratedText(tokenizer, request.stop());
    BitSet seen = new BitSet();
    Arrays.stream(prompt).forEach(seen::set);
    int[] ids = new int[Math.min(request.maxTokens(), config.maxPositions() - prompt.length + 1)];
    int n = 0;
    StopReason reason = null;
    long start = System.nanoTime();
    // The last token drawn is never read, so it needs no room.
    try (KvCache cache = new KvCache(config, 1, prompt.length + ids.length - 1)) {
      int[] fresh = prompt;
      while (reason == null) {
        int id = sampler.next(logits(fresh, cache), config.usedVocab(), seen, random);
        ids[n++] = id;
        seen.set(id);
        fresh = new int[] {id};
        boolean end = id == config.endOfText();
        String piece = end || text == null ? "" : text.next(id);
        if (end) {
          reason = StopReason.END_OF_TEXT;
        } else if (text != null && text.stopped()) {
          reason = StopReason.STOP_STRING;
        } else if (n == ids.length) {
          reason = n == request.maxTokens() ? StopReason.MAX_TOKENS : StopReason.CONTEXT_FULL;
        }
        if (reason != null && text != null) {
          piece += text.finish();
        }
        if (!listener.token(id, piece) && reason == null) {
          reason = StopReason.CANCELLED;
          if (text != null) {
            text.finish();
          }
        }
      }
    }
    double seconds = (System.nanoTime() - start) / 1e9;
    return new Result(prompt, Arrays.copyOf(ids, n), text == null ? null : text.toString(), seconds, n / seconds, reason);
  }

  private int[] prompt(Request request) {
    ModelConfig config = model.config();
    int[] prompt = request.promptIds();
    if (prompt.length == 0) {
      if (config.endOfText() < 0) {
        throw new InputException("empty prompt: the model has no end-of-text token to begin a document with; give some text");
      }
      prompt = new int[] {config.endOfText()};
    }
    checkIds(prompt, config);
    if (prompt.length > config.maxPositions()) {
      throw new InputException(
          "the prompt has " + prompt.length + " tokens, the model's context is " + config.maxPositions() + ": shorten it");
    }
    return prompt;
  }

  /** The ids must be rows of the embedding: libtorch would not say it in words. */
  static void checkIds(int[] ids, ModelConfig config) {
    for (int i = 0; i < ids.length; i++) {
      if (ids[i] < 0 || ids[i] >= config.vocabSize()) {
        String expected = "an id from 0 to " + (config.vocabSize() - 1);
        throw new InputException("token " + (i + 1) + ": expected " + expected + ", found " + ids[i]);
      }
    }
  }

  /** Scores of what follows {@code ids}, which follow those in the cache. All memory of the step is given back here. */
  private float[] logits(int[] ids, KvCache cache) {
    try (PointerScope _ = new PointerScope();
        NoGradGuard _ = new NoGradGuard()) {
      Tensor hidden = model.hidden(Tensors.of(ids, 1, ids.length), cache, Hooks.NONE);
      return Tensors.floats(model.logits(hidden.narrow(1, ids.length - 1, 1)));
    }
  }
}
