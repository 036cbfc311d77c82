package dev.jneox.io;

import org.jspecify.annotations.Nullable;

/** Reports that a thread was interrupted while it waited, and that the operation ended there. */
public final class CancelledException extends JneoxException {
  /**
   * Creates the error for an interrupted wait.
   *
   * @param cause the interrupt; null when this error repeats another under a new message
   */
  public CancelledException(String message, @Nullable Throwable cause) {
    super(message, cause);
  }

  @Override
  public CancelledException withMessage(String message) {
    return new CancelledException(message, this);
  }
}
