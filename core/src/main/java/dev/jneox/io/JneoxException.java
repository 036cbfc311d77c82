package dev.jneox.io;

import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Reports in one line why JNeoX cannot continue. Its subclasses tell a program how it may react.
 * The message names the place, what was expected, what was found and, where there is one, the
 * remedy. The command line prints the message alone and exits with 1. Any other exception is a bug
 * in JNeoX or in the calling program.
 */
public abstract sealed class JneoxException extends RuntimeException
    permits InputException,
        StorageException,
        MemoryException,
        BusyException,
        CancelledException,
        DivergedException {
  JneoxException(String message, @Nullable Throwable cause) {
    super(oneLine(message), cause);
  }

  /**
   * Replaces line breaks and terminal escapes, which names and values quoted from a broken file may
   * hold.
   */
  private static String oneLine(String message) {
    return message.replaceAll("[\\p{Cc}\\u2028\\u2029]+", " ");
  }

  @Override
  public String getMessage() {
    return Objects.requireNonNull(super.getMessage());
  }

  /** Returns the same error under a longer message, with this one as its cause. */
  public abstract JneoxException withMessage(String message);
}
