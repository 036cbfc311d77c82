package dev.jneox.io;

import java.io.EOFException;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.io.UncheckedIOException;
import java.net.ConnectException;
import java.net.SocketTimeoutException;
import java.net.UnknownHostException;
import java.net.http.HttpTimeoutException;
import java.nio.channels.ClosedByInterruptException;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.FileChannel;
import java.nio.charset.MalformedInputException;
import java.nio.charset.StandardCharsets;
import java.nio.charset.UnmappableCharacterException;
import java.nio.file.AccessDeniedException;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.DirectoryNotEmptyException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.FileSystemLoopException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.NotLinkException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.concurrent.ThreadLocalRandom;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Writes a file that appears under its name whole or not at all. The bytes go to a file beside it,
 * whose name ends in {@code .partial}. {@link #commit} forces that file to disk and moves it to its
 * name. Closing without a commit deletes it.
 */
public final class AtomicFile implements AutoCloseable {
  static final String PARTIAL = ".partial";

  /**
   * The longest name, in bytes, that is kept in the name of a partial file. File systems limit
   * names to 255 bytes; ours add some 30.
   */
  private static final int LONGEST_NAME = 220;

  private final Path target;
  private final Path partial;
  private final @Nullable TargetLock lock; // null in write(), which takes no lock
  private boolean done;

  /**
   * Locks {@code target} against other writers until {@link #close}, and deletes the partial files
   * of writers that were killed.
   *
   * @throws StorageException when another writer is at work, or the folder cannot be written
   */
  public AtomicFile(Path target) {
    this(target, TargetLock.take(target));
    try {
      for (Path left : leftovers(target)) {
        Files.deleteIfExists(left);
      }
    } catch (IOException e) {
      release();
      throw failed(e);
    }
  }

  private AtomicFile(Path target, @Nullable TargetLock lock) {
    this.target = target;
    this.lock = lock;
    this.partial = partial(target);
    UnfinishedFiles.add(partial);
  }

  /** Returns a name beside {@code target} that no other writer uses. */
  static Path partial(Path target) {
    if (target.getFileName() == null) {
      throw new InputException(
          target
              + ": expected the name of a file or folder to write, found the root of the file"
              + " system");
    }
    return target.resolveSibling(beginning(target) + "." + unique() + PARTIAL);
  }

  /** Returns another name of the partial file or folder {@code partial}, used by no writer. */
  static Path renamed(Path partial) {
    String name = partial.getFileName().toString();
    int end = name.lastIndexOf('.', name.length() - PARTIAL.length() - 1);
    return partial.resolveSibling(name.substring(0, end + 1) + unique() + PARTIAL);
  }

  private static String unique() {
    return "%d-%08x"
        .formatted(ProcessHandle.current().pid(), ThreadLocalRandom.current().nextInt());
  }

  /**
   * Returns the target's name, or a shorter name with its hash where the suffix would make it too
   * long.
   */
  private static String beginning(Path target) {
    String name = target.getFileName().toString();
    return name.getBytes(StandardCharsets.UTF_8).length <= LONGEST_NAME
        ? name
        : name.substring(0, 40) + "~%08x".formatted(name.hashCode());
  }

  /** Lists the partial files that killed writers of {@code target} left. */
  static List<Path> leftovers(Path target) throws IOException {
    String name = beginning(target);
    try (Stream<Path> siblings = Files.list(target.toAbsolutePath().getParent())) {
      return siblings
          .filter(
              path -> {
                String sibling = path.getFileName().toString();
                return sibling.startsWith(name + ".")
                    && sibling.substring(name.length()).matches("(\\.\\d+-[0-9a-f]{8})?\\.partial");
              })
          .toList();
    }
  }

  /** Returns the path to write to. The file exists only once the caller has created it. */
  public Path path() {
    return partial;
  }

  /**
   * Forces the written bytes to disk and moves them to the final name, replacing an older file.
   * Releases the lock, so that the folder around the file may be moved before this is closed.
   */
  public void commit() {
    try {
      try (FileChannel channel = FileChannel.open(partial, StandardOpenOption.WRITE)) {
        channel.force(true);
      }
      if (!UnfinishedFiles.remove(partial)) {
        throw new CancelledException(
            target + ": is not written: the process was told to end", null);
      }
      try {
        Files.move(
            partial, target, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
      } catch (AtomicMoveNotSupportedException e) {
        Files.move(partial, target, StandardCopyOption.REPLACE_EXISTING);
      }
      done = true;
      forceNames(target);
    } catch (IOException e) {
      throw failed(e);
    }
    release();
  }

  /**
   * Forces the directory of {@code target} to disk. Without it, a power failure could undo the
   * rename.
   */
  static void forceNames(Path target) {
    try (FileChannel folder = FileChannel.open(target.toAbsolutePath().getParent())) {
      folder.force(true);
    } catch (IOException e) {
      // Not every system can: Windows cannot open a folder as a file.
    }
  }

  private void release() {
    if (lock != null) {
      lock.close();
    }
  }

  private StorageException failed(IOException e) {
    return StorageException.of(target, "cannot be written", e);
  }

  @Override
  public void close() {
    try {
      if (!done) {
        UnfinishedFiles.remove(partial);
        Files.deleteIfExists(partial);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } finally {
      release();
    }
  }

  /**
   * Writes a whole small file without locking it. Of two concurrent writers the last one wins, and
   * neither fails.
   */
  public static void write(Path target, byte[] bytes) {
    try (AtomicFile file = new AtomicFile(target, (TargetLock) null)) {
      try {
        Files.createDirectories(target.toAbsolutePath().getParent());
        Files.write(file.path(), bytes);
      } catch (IOException e) {
        throw file.failed(e);
      }
      file.commit();
    }
  }

  /** Describes an {@link IOException} in words, because the message of some is only a path. */
  public static String reason(IOException e) {
    String message = e.getMessage();
    return switch (e) {
      case NoSuchFileException _ -> "no such file or folder: " + message;
      case AccessDeniedException _ -> "permission denied: " + message;
      case FileAlreadyExistsException _ -> "exists already: " + message;
      case DirectoryNotEmptyException _ -> "the folder is not empty: " + message;
      case NotDirectoryException _ -> "not a folder: " + message;
      case NotLinkException _ -> "not a symbolic link: " + message;
      case FileSystemLoopException _ -> "the folder links to one that it is in: " + message;
      case FileSystemException f when f.getReason() != null -> f.getReason() + ": " + f.getFile();
      case FileSystemException f -> "the system refuses it: " + f.getFile();
      case FileNotFoundException _ -> message == null ? "no such file or folder" : message;
      case EOFException _ -> "it ends too early";
      case MalformedInputException _, UnmappableCharacterException _ ->
          "it has bytes that are not text in its encoding";
      case UnknownHostException _ -> "no such host: " + message;
      case HttpTimeoutException _, SocketTimeoutException _ -> "no answer in time";
      case ConnectException _ -> "no connection" + (message == null ? "" : ": " + message);
      case ClosedByInterruptException _, InterruptedIOException _ -> "it was interrupted";
      case ClosedChannelException _ -> "it was closed meanwhile";
      default -> message == null ? "the system gives no reason" : message;
    };
  }
}
