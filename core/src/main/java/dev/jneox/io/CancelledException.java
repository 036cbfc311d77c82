package dev.jneox.io;

import org.jspecify.annotations.Nullable;

/** Says that the thread was interrupted while it waited, which ends what it waited for. */
public final class CancelledException extends JneoxException {
  /**
   * Makes the error of an interrupted wait.
   *
   * @param cause or null
   */
  public CancelledException(String message, @Nullable Throwable cause) {
    super(message, cause);
  }

  @Override
  public CancelledException withMessage(String message) {
    return new CancelledException(message, this);
  }
}
