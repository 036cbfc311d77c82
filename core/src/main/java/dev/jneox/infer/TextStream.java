package dev.jneox.infer;

import java.util.Iterator;
import java.util.NoSuchElementException;
import org.jspecify.annotations.Nullable;

/**
 * Gives a text piece by piece as its tokens are drawn, and finds the stop strings in it. All pieces
 * together are the completion's text, unless it is cancelled. The work is done on the thread that
 * pulls; the engine draws a bounded number of tokens ahead of it, see {@link Engine.Readers}. For
 * one thread, best a virtual one; any thread may cancel.
 */
public final class TextStream implements Iterator<TextPiece>, AutoCloseable {
  private final TokenStream tokens;
  private final @Nullable GeneratedText text; // null without a tokenizer
  private @Nullable GenerationResult generation; // once it has ended on this side
  private boolean ready; // a token is there that next() takes, whatever happens meanwhile
  private volatile boolean cancelled;

  TextStream(TokenStream tokens, @Nullable GeneratedText text) {
    this.tokens = tokens;
    this.text = text;
  }

  /**
   * Waits for the next token; false if the text has ended.
   *
   * @throws dev.jneox.io.InputException if the model gives no numbers
   * @throws dev.jneox.io.CancelledException if the thread is interrupted, which cancels the request
   * @throws IllegalStateException on the engine's own thread, from a tap: it would wait for itself
   */
  @Override
  public boolean hasNext() {
    ready = ready || generation == null && !cancelled && tokens.hasNext();
    return ready;
  }

  /** Waits for the next token and takes it. Fails as {@link #hasNext} does. */
  @Override
  public TextPiece next() {
    if (!hasNext()) {
      throw new NoSuchElementException("the text has ended");
    }
    ready = false;
    Token token = tokens.next();
    if (text == null) {
      return new TextPiece(token, "");
    }
    boolean last = tokens.ended();
    String piece = last && tokens.reason().marked() ? "" : text.next(token.id());
    if (text.stopped()) {
      generation = tokens.cut(FinishReason.STOP_STRING);
    }
    if (last || text.stopped()) {
      piece += text.finish();
    }
    return new TextPiece(token, piece);
  }

  /**
   * Reads on to the end and returns the whole text; after a cancellation, what was read of it.
   * Fails as {@link #hasNext} does.
   */
  public Completion result() {
    while (hasNext()) {
      next();
    }
    if (generation == null) {
      boolean cut = cancelled && !tokens.ended();
      generation = cut ? tokens.cut(FinishReason.CANCELLED) : tokens.result();
      if (text != null) {
        text.finish();
      }
    }
    return new Completion(text == null ? null : text.toString(), generation);
  }

  /** Ends the text where it is, unless it has ended; the engine draws nothing more for it. */
  public void cancel() {
    cancelled = true;
    tokens.close();
  }

  /** Cancels the text, unless it has ended. */
  @Override
  public void close() {
    cancel();
  }
}
