package dev.jneox.io;

import org.jspecify.annotations.Nullable;

/** Says that the queue of an engine is full; nothing is wrong with the request. */
public final class BusyException extends JneoxException {
  private final int waiting;

  /**
   * Makes the error of a request that was not taken.
   *
   * @param waiting requests in the queue
   */
  public BusyException(int waiting) {
    this(waiting + " requests wait already: try again later", null, waiting);
  }

  private BusyException(String message, @Nullable Throwable cause, int waiting) {
    super(message, cause);
    this.waiting = waiting;
  }

  @Override
  public BusyException withMessage(String message) {
    return new BusyException(message, this, waiting);
  }

  /** Returns how many requests were in the queue. */
  public int waiting() {
    return waiting;
  }
}
