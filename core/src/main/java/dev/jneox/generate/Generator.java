package dev.jneox.generate;

import dev.jneox.io.InputException;
import java.util.List;
import java.util.concurrent.CompletionException;

/**
 * Continues texts, one at a time for each caller; several threads may use one generator, and then
 * share the engine's steps.
 */
public final class Generator {
  private final Engine engine;

  /**
   * @param engine stays open for as long as this is used
   */
  public Generator(Engine engine) {
    this.engine = engine;
  }

  /**
   * What to write.
   *
   * @param promptIds what to continue; empty begins a document, after the end-of-text token, as in
   *     GPT-NeoX
   * @param maxTokens most tokens to draw, from 1
   * @param stop strings that end the text, which is cut before them; they need not be whole tokens
   * @param ignoreEnd goes on past an end-of-text token, which then is a token like any other
   */
  public record Request(
      int[] promptIds, int maxTokens, Sampler sampler, List<String> stop, boolean ignoreEnd) {
    /**
     * @throws InputException if {@code maxTokens} is below 1 or a stop string is empty
     */
    public Request {
      if (maxTokens < 1) {
        throw new InputException("max tokens: expected 1 or more, found " + maxTokens);
      }
      stop = List.copyOf(stop);
      if (stop.contains("")) {
        throw new InputException("stop string: expected some text, found none");
      }
    }

    /** A text that an end-of-text token ends. */
    public Request(int[] promptIds, int maxTokens, Sampler sampler, List<String> stop) {
      this(promptIds, maxTokens, sampler, stop, false);
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
  public record Result(
      int[] promptIds,
      int[] ids,
      String text,
      double seconds,
      double tokensPerSecond,
      StopReason stopReason) {}

  /** Looks on as a text grows. */
  @FunctionalInterface
  public interface Listener {
    /** Waits for the end. */
    Listener NONE = (id, text) -> true;

    /**
     * Called with every token as it is drawn, on the engine's thread; what it throws ends this text
     * and no other.
     *
     * @param text what has become certain of the text, perhaps nothing; all the pieces together are
     *     the result's text, unless cancelled. Empty without a tokenizer.
     * @return whether to go on; false cancels
     */
    boolean token(int id, String text);
  }

  /**
   * Writes a text and returns when it is done.
   *
   * @throws InputException if the prompt does not fit the model, or needs a tokenizer that is not
   *     there
   */
  public Result generate(Request request, Listener listener) {
    try {
      return engine.submit(request, listener).result().join();
    } catch (CompletionException e) {
      if (e.getCause() instanceof RuntimeException cause) {
        throw cause;
      }
      if (e.getCause() instanceof Error cause) {
        throw cause;
      }
      throw e;
    }
  }
}
