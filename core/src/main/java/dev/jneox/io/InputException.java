package dev.jneox.io;

import java.nio.file.Path;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Says that something the user gave us cannot be used: the content of a file, a configuration, an
 * option. The fields are there where the message has the form of {@link #in}.
 */
public final class InputException extends JneoxException {
  // All four are null where the message has another form.
  private final transient @Nullable Path file;
  private final @Nullable String place;
  private final @Nullable String expected;
  private final @Nullable String found;

  public InputException(String message) {
    this(message, null);
  }

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

  /** The usual form: {@code file: place: expected X, found Y}. */
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

  /** Returns where in the file it is wrong: a key, a tensor, a line. */
  public Optional<String> place() {
    return Optional.ofNullable(place);
  }

  /** Returns what should be there, in words. */
  public Optional<String> expected() {
    return Optional.ofNullable(expected);
  }

  /** Returns what is there, in words. */
  public Optional<String> found() {
    return Optional.ofNullable(found);
  }
}
