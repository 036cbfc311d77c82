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
        DivergedException,
        PeerException,
        MachineException {
  /** The most characters of a message; some name a dozen keys, each with its place. */
  private static final int LONGEST = 4000;

  /** The characters at the end of a longer message that stay, where it says what to do. */
  private static final int END = 500;

  private static final String CUT = " ... ";

  JneoxException(String message, @Nullable Throwable cause) {
    super(bounded(message), cause);
  }

  /** Names and values quoted from a broken file may be long, and hold terminal escapes. */
  private static String bounded(String message) {
    String line = VisibleText.line(message);
    return line.length() <= LONGEST
        ? line
        : line.substring(0, LONGEST - END - CUT.length())
            + CUT
            + line.substring(line.length() - END);
  }

  @Override
  public String getMessage() {
    return Objects.requireNonNull(super.getMessage());
  }

  /** Returns the same error under a longer message, with this one as its cause. */
  public abstract JneoxException withMessage(String message);
}
