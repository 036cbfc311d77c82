package dev.jneox.infer;

import dev.jneox.infer.GenerationResult.Times;
import dev.jneox.infer.GenerationResult.Usage;
import dev.jneox.io.CancelledException;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/** Follows one request of an {@link Engine}, which waits, runs, or is done. */
public final class Session {
  private final Engine engine;
  private final CountDownLatch done = new CountDownLatch(1);
  private final long submitted = System.nanoTime();
  private long begun;
  private long ended;
  private int reused;
  private @Nullable Throwable
      failure; // this and those above are read once a token or the end is seen

  // Shared with a TokenStream.
  private final int ahead; // tokens that may lie unread
  private volatile int taken; // tokens that the reader has
  private volatile @Nullable Thread waiting; // the reader while it waits
  volatile boolean cancelled;

  /** Whether it gave up its place: no list of the engine's has it. Changed under its lock. */
  volatile boolean suspended;

  // The engine thread's own.
  final Generation generation;
  final KvSequence sequence;
  int promised; // pages it may still take
  boolean paused; // its reader is behind
  private boolean ready; // in this step: see Generation
  private long pausedAt;
  private int pausedTaken;
  private int highest; // positions that were ever read
  final @Nullable Taps taps; // null where it has none
  @Nullable Throwable tapFailure; // what they threw
  final Engine.@Nullable LogitRows logitRows; // sees the logits of the prompt's scores

  /**
   * @param ahead most tokens drawn that its reader has not taken
   * @param taps on the rows of this request, or null
   * @param logitRows sees the logits of the prompt's scores, or null
   */
  Session(
      Engine engine,
      Generation generation,
      KvSequence sequence,
      int ahead,
      @Nullable Taps taps,
      Engine.@Nullable LogitRows logitRows) {
    this.engine = engine;
    this.generation = generation;
    this.sequence = sequence;
    this.ahead = ahead;
    this.taps = taps;
    this.logitRows = logitRows;
  }

  /**
   * Waits for the end and returns what came of the request.
   *
   * @throws dev.jneox.io.InputException if the model gives no numbers
   * @throws CancelledException if the thread is interrupted, which cancels the request
   * @throws IllegalStateException on the engine's own thread, from a tap: it would wait for itself
   */
  public GenerationResult result() {
    engine.requireOtherThread("waiting for a result");
    try {
      done.await();
    } catch (InterruptedException e) {
      throw interrupted();
    }
    rethrow();
    return result(generation.total(), generation.reason(), ended);
  }

  /**
   * Ends the request before its next token, or takes it out of the queue; the result says so.
   * Without effect once it is done.
   */
  public void cancel() {
    cancelled = true;
    engine.wake(this);
  }

  // For the reader of a stream.

  /** Waits until a token is there that was not taken; false if none will be. */
  boolean awaitToken() {
    engine.requireOtherThread("waiting for tokens");
    waiting = Thread.currentThread();
    try {
      while (true) {
        if (taken < generation.drawn()) {
          return true;
        }
        if (drained()) {
          rethrow();
          return false;
        }
        if (Thread.interrupted()) {
          throw interrupted();
        }
        LockSupport.park(this);
      }
    } finally {
      waiting = null;
    }
  }

  /** Takes the next token, which must be there; the engine goes on if it had paused. */
  Token take() {
    int index = taken;
    Token token = generation.token(index);
    taken = index + 1;
    if (generation.drawn() - index >= ahead) {
      engine.wake(this);
    }
    return token;
  }

  /** Returns the {@link System#nanoTime} at which the token taken last was drawn. */
  long lastTime() {
    return generation.time(taken - 1);
  }

  /** Whether the reader has taken the last token; known as soon as it has. */
  boolean drained() {
    return generation.total() == taken;
  }

  /** Returns what the reader has taken as a result that ends here. */
  GenerationResult resultSoFar(FinishReason reason) {
    return result(taken, reason, System.nanoTime());
  }

  private CancelledException interrupted() {
    cancel();
    Thread.currentThread().interrupt();
    return new CancelledException("interrupted while waiting for a model's tokens", null);
  }

  private void rethrow() {
    if (failure instanceof RuntimeException e) {
      throw e;
    }
    if (failure instanceof Error e) {
      throw e;
    }
    if (failure != null) {
      throw new IllegalStateException(failure);
    }
  }

  private GenerationResult result(int tokens, FinishReason reason, long end) {
    return new GenerationResult(
        generation.promptIds(),
        // The engine thread may still write the prompt's scores before the first token is seen.
        tokens > 0 || generation.total() >= 0 ? generation.prompt() : List.of(),
        generation.tokens(tokens),
        reason,
        new Usage(generation.promptLength(), reused, tokens),
        new Times(
            begun == 0 ? Double.NaN : seconds(begun),
            tokens == 0 ? Double.NaN : seconds(generation.time(0)),
            seconds(end)));
  }

  private double seconds(long time) {
    return (time - submitted) / 1e9;
  }

  // For the engine thread.

  /**
   * Positions that the model reads next, before a token or the end. The last one waits until the
   * ids allowed for the token are known.
   */
  int pending() {
    return generation.target() - sequence.length() - (ready ? 0 : 1);
  }

  /** Notes that it has a place; returns whether it is the first time. */
  boolean begin() {
    if (begun != 0) {
      return false;
    }
    begun = System.nanoTime();
    reused = sequence.length();
    highest = reused;
    return true;
  }

  int highest() {
    return highest;
  }

  void read(int positions) {
    highest = Math.max(highest, positions);
  }

  /** Whether its reader is so far behind that no token is drawn for it. */
  boolean full() {
    return generation.drawn() - taken >= ahead;
  }

  /**
   * Looks, before a step, whether its next token can be drawn, whether it is paused, and since when
   * its reader has taken nothing.
   */
  void update(long now) {
    ready = generation.ready();
    int seen = taken;
    if (!full()) {
      paused = false;
    } else if (!paused || seen != pausedTaken) {
      paused = true;
      pausedAt = now;
      pausedTaken = seen;
    }
  }

  /** Nanoseconds for which it has been paused without a token taken. */
  long stalled(long now) {
    return now - pausedAt;
  }

  /** Returns the reader that waits, or null. A later one looks for a token before it waits. */
  @Nullable Thread reader() {
    return waiting;
  }

  /** Ends it, for {@code why} unless it ended by itself, or by a failure if that is not null. */
  void finish(FinishReason why, @Nullable Throwable cause) {
    failure = cause;
    ended = System.nanoTime();
    generation.finish(why);
    done.countDown();
    LockSupport.unpark(waiting);
  }
}
