package dev.jneox.io;

import java.nio.file.Path;

/**
 * Something the user gave us (a file, a configuration, an option) cannot be used. The message is one line that names the place,
 * what was expected, what was found and, where there is one, the remedy; the command line prints it alone and exits with 1.
 */
public final class InputException extends RuntimeException {
  public InputException(String message) {
    super(message);
  }

  public InputException(String message, Throwable cause) {
    super(message, cause);
  }

  /** The usual form: {@code file: place: expected X, found Y}. */
  public static InputException in(Path file, String place, String expected, String found) {
    return new InputException(file + ": " + place + ": expected " + expected + ", found " + found);
  }
}
