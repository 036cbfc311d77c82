package dev.jneox.io;

import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Path;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Reports that a file or folder cannot be read, written or locked, or that its disk has too little
 * room. The usual form of the message is {@code path: what: reason}.
 */
public final class StorageException extends JneoxException {
  private final transient @Nullable Path path; // null for a stream
  private final String what;
  private final String reason;

  /**
   * Creates an error of the usual form.
   *
   * @param what the operation that failed, such as {@code cannot be written}
   * @param reason why it failed, or what to do about it
   * @param cause null for none
   */
  public StorageException(Path path, String what, String reason, @Nullable Throwable cause) {
    this(path + ": " + what + ": " + reason, path, what, reason, cause);
  }

  /**
   * Creates an error with a free message.
   *
   * @param path null for a stream, and for a file that is not known
   * @param what the operation that failed, such as {@code cannot be written}
   * @param reason why it failed, or what to do about it
   * @param cause null for none
   */
  public StorageException(
      String message, @Nullable Path path, String what, String reason, @Nullable Throwable cause) {
    super(message, cause);
    this.path = path;
    this.what = what;
    this.reason = reason;
  }

  /** Creates the error for an operation on {@code path}, with the reason that the system gives. */
  public static StorageException of(Path path, String what, IOException e) {
    String reason = AtomicFile.reason(e);
    String again = ": " + path; // the message begins with it
    return new StorageException(
        path,
        what,
        reason.endsWith(again) ? reason.substring(0, reason.length() - again.length()) : reason,
        e);
  }

  /** Creates the error for a source without a path: a standard stream or an entry of a jar. */
  public static StorageException ofStream(String name, String what, IOException e) {
    String reason = AtomicFile.reason(e);
    return new StorageException(name + ": " + what + ": " + reason, null, what, reason, e);
  }

  /**
   * Creates the error for a text file that cannot be read. A file that is not UTF-8 gives an {@link
   * InputException}.
   */
  public static JneoxException ofText(Path file, IOException e) {
    return e instanceof CharacterCodingException
        ? new InputException(of(file, "cannot be read as UTF-8", e).getMessage(), e)
        : of(file, "cannot be read", e);
  }

  @Override
  public StorageException withMessage(String message) {
    return new StorageException(message, path, what, reason, this);
  }

  /** Returns the file or folder; empty for a stream, and where it is not known. */
  public Optional<Path> path() {
    return Optional.ofNullable(path);
  }

  /** Returns the operation that failed, such as {@code cannot be written}. */
  public String what() {
    return what;
  }

  /** Returns why it failed, or what to do about it. */
  public String reason() {
    return reason;
  }
}
