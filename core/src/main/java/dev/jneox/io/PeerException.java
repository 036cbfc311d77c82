package dev.jneox.io;

import org.jspecify.annotations.Nullable;

/**
 * Reports that another process of the same run is gone, or did not answer in time. What failed
 * there is said there.
 */
public final class PeerException extends JneoxException {
  /**
   * Creates the error for an exchange that failed.
   *
   * @param message names the group, the own rank and the operation
   * @param cause the failure of the transport; null when there is none
   */
  public PeerException(String message, @Nullable Throwable cause) {
    super(message, cause);
  }

  @Override
  public PeerException withMessage(String message) {
    return new PeerException(message, this);
  }
}
