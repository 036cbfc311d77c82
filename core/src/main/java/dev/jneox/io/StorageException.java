package dev.jneox.io;

import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Path;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Says that a file or folder cannot be read, written or locked, or that its disk has too little
 * room. The usual form of the message is {@code path: what: reason}.
 */
public final class StorageException extends JneoxException {
  private final transient @Nullable Path path; // null for a stream
  private final String what;
  private final String reason;

  /**
   * Makes an error of the usual form.
   *
   * @param what is not possible, such as {@code cannot be written}
   * @param reason why it is not, or what to do about it
   * @param cause or null
   */
  public StorageException(Path path, String what, String reason, @Nullable Throwable cause) {
    this(path + ": " + what + ": " + reason, path, what, reason, cause);
  }

  /**
   * Makes an error with a message of its own.
   *
   * @param path or null for a stream, or for a file that is not known
   * @param cause or null
   */
  public StorageException(
      String message, @Nullable Path path, String what, String reason, @Nullable Throwable cause) {
    super(message, cause);
    this.path = path;
    this.what = what;
    this.reason = reason;
  }

  /** Says what cannot be done with {@code path}, for the reason that the system gives. */
  public static StorageException of(Path path, String what, IOException e) {
    return new StorageException(path, what, AtomicFile.reason(e), e);
  }

  /** Says the same of what has no path: a standard stream, an entry of a jar. */
  public static StorageException ofStream(String name, String what, IOException e) {
    String reason = AtomicFile.reason(e);
    return new StorageException(name + ": " + what + ": " + reason, null, what, reason, e);
  }

  /** Says that a text cannot be read; one that is not UTF-8 is an {@link InputException}. */
  public static JneoxException ofText(Path file, IOException e) {
    StorageException unreadable = of(file, "cannot be read as UTF-8", e);
    return e instanceof CharacterCodingException
        ? new InputException(unreadable.getMessage(), e)
        : unreadable;
  }

  @Override
  public StorageException withMessage(String message) {
    return new StorageException(message, path, what, reason, this);
  }

  /** Returns the file or folder; empty for a stream, or where it is not known. */
  public Optional<Path> path() {
    return Optional.ofNullable(path);
  }

  /** Returns what is not possible, such as {@code cannot be written}. */
  public String what() {
    return what;
  }

  /** Returns why it is not, or what to do about it. */
  public String reason() {
    return reason;
  }
}
