package dev.jneox.infer;

import dev.jneox.io.CancelledException;
import java.util.Iterator;
import java.util.NoSuchElementException;

/**
 * Gives the tokens of a request one by one as they are drawn. The engine draws a bounded number of
 * tokens ahead and then pauses this request alone: see {@link Engine.Readers}. For one thread, best
 * a virtual one.
 */
public final class TokenStream implements Iterator<Token>, AutoCloseable {
  final Session session;
  private boolean ready; // a token is there that next() takes, whatever happens meanwhile

  TokenStream(Session session) {
    this.session = session;
  }

  /**
   * Waits for the next token; false if the request has ended.
   *
   * @throws dev.jneox.io.InputException if the model gives no numbers
   * @throws CancelledException if the thread is interrupted, which cancels the request
   * @throws IllegalStateException on the engine's own thread, from a tap: it would wait for itself
   */
  @Override
  public boolean hasNext() {
    ready = ready || session.awaitToken();
    return ready;
  }

  /** Waits for the next token and takes it. Fails as {@link #hasNext} does. */
  @Override
  public Token next() {
    if (!hasNext()) {
      throw new NoSuchElementException("the request has ended");
    }
    ready = false;
    return session.take();
  }

  /**
   * Returns when the engine drew the token taken last, as {@link System#nanoTime} has it: the time
   * between tokens without that of their way to the reader.
   */
  public long drawnAt() {
    return session.lastTime();
  }

  /** Reads on to the end and returns what came of the request. Fails as {@link #hasNext} does. */
  public GenerationResult result() {
    while (hasNext()) {
      next();
    }
    return session.result();
  }

  /** Cancels the request, unless it has ended. */
  @Override
  public void close() {
    session.cancel();
  }

  /** Whether the token taken last is the last there is, without waiting; false if cancelled. */
  boolean ended() {
    return session.drained();
  }

  /** Why the request ended, once {@link #ended} is true. */
  FinishReason reason() {
    return session.generation.reason();
  }

  /** Cancels the request and returns what was taken of it, as if it had ended there. */
  GenerationResult cut(FinishReason reason) {
    session.cancel();
    return session.resultSoFar(reason);
  }
}
