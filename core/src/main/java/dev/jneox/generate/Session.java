package dev.jneox.generate;

import dev.jneox.generate.Generator.Result;
import java.util.concurrent.CompletableFuture;

/** A request in the hands of an {@link Engine}: waiting, being written, or done. */
public final class Session {
  private final Engine engine;
  private final CompletableFuture<Result> result = new CompletableFuture<>();
  volatile boolean cancelled;

  // The engine thread's own.
  final Generation generation;
  final KvSequence text;
  final int[] next = new int[1];
  int read; // tokens of the prompt given to the model
  int promised; // pages it may still take

  Session(Engine engine, Generation generation, KvSequence text) {
    this.engine = engine;
    this.generation = generation;
    this.text = text;
  }

  /**
   * What comes of it. Fails with what the listener threw, or an {@link dev.jneox.io.InputException}
   * if the model gives no numbers. Cancelling the future cancels nothing but the future.
   */
  public CompletableFuture<Result> result() {
    return result;
  }

  /**
   * Ends the text before its next token, or takes the request out of the line; the result says so.
   * Without effect once it is done.
   */
  public void cancel() {
    cancelled = true;
    engine.wake();
  }

  boolean reading() {
    return read < generation.prompt().length;
  }

  void finish(boolean beforeItBegan) {
    if (beforeItBegan) {
      generation.cancel();
    }
    result.complete(generation.result());
  }

  void fail(Throwable failure) {
    result.completeExceptionally(failure);
  }
}
