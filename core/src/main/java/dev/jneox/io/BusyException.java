package dev.jneox.io;

import org.jspecify.annotations.Nullable;

/**
 * Reports that the queue of an engine is full. The request itself is valid; it may be sent again
 * later.
 */
public final class BusyException extends JneoxException {
  private final int waiting;

  /**
   * Creates the error for a request that was rejected.
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
