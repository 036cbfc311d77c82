package dev.jneox.io;

import java.nio.file.Path;

/**
 * Something the user gave us (a file, a configuration, an option) cannot be used. The message is
 * one line that names the place, what was expected, what was found and, where there is one, the
 * remedy; the command line prints it alone and exits with 1.
 */
public final class InputException extends RuntimeException {
  public InputException(String message) {
    super(oneLine(message));
  }

  public InputException(String message, Throwable cause) {
    super(oneLine(message), cause);
  }

  /** Names and values quoted from a broken file may hold line breaks or terminal escapes. */
  private static String oneLine(String message) {
    return message.replaceAll("[\\p{Cc}\\u2028\\u2029]+", " ");
  }

  /** The usual form: {@code file: place: expected X, found Y}. */
  public static InputException in(Path file, String place, String expected, String found) {
    return new InputException(file + ": " + place + ": expected " + expected + ", found " + found);
  }
}
