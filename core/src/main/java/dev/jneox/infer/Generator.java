package dev.jneox.infer;

import dev.jneox.io.CancelledException;
import dev.jneox.io.InputException;
import dev.jneox.tokenizer.Tokenizer;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Turns the tokens of an {@link Engine} into text on the caller's thread, and looks for stop
 * strings there. Several threads, best virtual ones, may use one generator: they share the engine's
 * steps, and a listener that takes its time holds up its own text alone.
 */
public final class Generator {
  private final Engine engine;
  private final @Nullable Tokenizer tokenizer;

  /**
   * @param engine stays open for as long as this is used
   * @param tokenizer of the model, or null to work on ids alone
   */
  public Generator(Engine engine, @Nullable Tokenizer tokenizer) {
    this.engine = engine;
    this.tokenizer = tokenizer;
  }

  /** Returns the engine that writes. */
  public Engine engine() {
    return engine;
  }

  /** Follows a text as it grows. */
  @FunctionalInterface
  public interface Listener {
    /** Waits for the end. */
    Listener NONE = (id, text) -> true;

    /**
     * Called with every token in turn, on the thread that called {@link Generator#generate}; what
     * it throws ends this text and reaches the caller.
     *
     * @param text what has become certain of the text, perhaps nothing; all the pieces together are
     *     the completion's text, unless cancelled. Empty without a tokenizer.
     * @return whether to go on; false cancels
     */
    boolean token(int id, String text);
  }

  /**
   * Continues a text that no string ends; see {@link #generate(GenerationRequest, List, Listener)}.
   */
  public Completion generate(GenerationRequest request, Listener listener) {
    return generate(request, List.of(), listener);
  }

  /**
   * Continues a text and returns when it is done.
   *
   * @throws InputException as {@link #stream} does
   * @throws CancelledException if the thread is interrupted
   */
  public Completion generate(GenerationRequest request, List<String> stop, Listener listener) {
    try (TextStream stream = stream(request, stop)) {
      while (stream.hasNext()) {
        TextPiece piece = stream.next();
        if (!listener.token(piece.id(), piece.text())) {
          stream.cancel();
        }
      }
      return stream.result();
    }
  }

  /**
   * Starts a text whose pieces the caller pulls as they are drawn.
   *
   * @param stop strings that end the text, which is cut before them; they need not be whole tokens
   * @throws InputException if the prompt does not fit the model, a stop string is empty, or the
   *     tokenizer that stop strings need is not there
   * @throws dev.jneox.io.BusyException if too many requests wait already
   */
  public TextStream stream(GenerationRequest request, List<String> stop) {
    if (stop.contains("")) {
      throw new InputException("stop string: expected some text, found none");
    }
    if (!stop.isEmpty() && tokenizer == null) {
      throw new InputException("stop strings need the model's tokenizer, and it has none");
    }
    @Nullable GeneratedText text =
        tokenizer == null ? null : new GeneratedText(tokenizer, List.copyOf(stop));
    return new TextStream(engine.stream(request), text);
  }
}
