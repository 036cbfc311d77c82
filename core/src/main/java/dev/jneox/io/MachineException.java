package dev.jneox.io;

import org.jspecify.annotations.Nullable;

/**
 * Reports that a machine computed the same twice, and not with the same result: its memory or
 * processor is faulty. What it has computed lately is not to be trusted.
 */
public final class MachineException extends JneoxException {
  /**
   * Creates the error.
   *
   * @param message names what was computed, both results, and the rank where it is known
   */
  public MachineException(String message) {
    this(message, null);
  }

  private MachineException(String message, @Nullable Throwable cause) {
    super(message, cause);
  }

  @Override
  public MachineException withMessage(String message) {
    return new MachineException(message, this);
  }
}
