package dev.jneox.io;

import java.nio.file.Path;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Reports that input cannot be used: the content of a file, a configuration or an option. {@link
 * #file}, {@link #place}, {@link #expected} and {@link #found} are present where the error was made
 * by {@link #in}.
 */
public final class InputException extends JneoxException {
  // All four are null where the message has another form.
  private final transient @Nullable Path file;
  private final @Nullable String place;
  private final @Nullable String expected;
  private final @Nullable String found;

  /**
   * Creates an error with a free message.
   *
   * @param message one line: what is wrong, where, and what to do
   */
  public InputException(String message) {
    this(message, null);
  }

  /**
   * Creates an error with a free message and a cause.
   *
   * @param message one line: what is wrong, where, and what to do
   * @param cause the exception that revealed it; null for none
   */
  public InputException(String message, @Nullable Throwable cause) {
    this(message, cause, null, null, null, null);
  }

  private InputException(
      String message,
      @Nullable Throwable cause,
      @Nullable Path file,
      @Nullable String place,
      @Nullable String expected,
      @Nullable String found) {
    super(message, cause);
    this.file = file;
    this.place = place;
    this.expected = expected;
    this.found = found;
  }

  /**
   * Creates an error of the usual form, {@code file: place: expected X, found Y}.
   *
   * @param place where in the file: a key, a tensor, a line
   * @param expected what the file should have there, in words
   * @param found what it has there, in words
   */
  public static InputException in(Path file, String place, String expected, String found) {
    return new InputException(
        file + ": " + place + ": expected " + expected + ", found " + found,
        null,
        file,
        place,
        expected,
        found);
  }

  @Override
  public InputException withMessage(String message) {
    return new InputException(message, this, file, place, expected, found);
  }

  /** Returns the file that cannot be used. */
  public Optional<Path> file() {
    return Optional.ofNullable(file);
  }

  /** Returns where in the file the error is: a key, a tensor, a line. */
  public Optional<String> place() {
    return Optional.ofNullable(place);
  }

  /** Returns what was expected there, in words. */
  public Optional<String> expected() {
    return Optional.ofNullable(expected);
  }

  /** Returns what was found there, in words. */
  public Optional<String> found() {
    return Optional.ofNullable(found);
  }
}
