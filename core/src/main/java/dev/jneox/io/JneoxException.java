package dev.jneox.io;

import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Says in one line why JNeoX cannot go on; its kinds tell a program what it may do about it. The
 * message names the place, what was expected, what was found and, where there is one, the remedy;
 * the command line prints it alone and exits with 1. Any other exception is a defect of JNeoX or of
 * the calling program.
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

  /** Names and values quoted from a broken file may hold line breaks or terminal escapes. */
  private static String oneLine(String message) {
    return message.replaceAll("[\\p{Cc}\\u2028\\u2029]+", " ");
  }

  @Override
  public String getMessage() {
    return Objects.requireNonNull(super.getMessage());
  }

  /** Returns the same failure, with this one as its cause, under a message that says more. */
  public abstract JneoxException withMessage(String message);
}
