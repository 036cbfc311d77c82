package dev.jneox.io;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Excludes other writers from a file or folder while it is written: in this process, in others and
 * on other hosts.
 *
 * <p>It is a lock of the operating system on a file {@code .NAME.lock} beside the target, which
 * holds the owner's pid and host. The system drops the lock of a killed owner at once; the file it
 * leaves is harmless. {@link #close} deletes the file. On a file system without locks, only writers
 * in this process exclude each other. The thread that holds a lock may take it again; the lock is
 * released when the first one is closed.
 */
public final class TargetLock implements AutoCloseable {
  /** How often a waiting writer tries again. */
  private static final long POLL_MILLIS = 50;

  /** How often a lock file may appear or go between a look at it and its opening. */
  private static final int MOST_TRIES = 1000;

  /**
   * Lock files held by this process. POSIX drops all locks of a process on a file when it closes
   * any descriptor of that file, so a lock file that is held is never opened again.
   */
  private static final Map<Path, Thread> HELD = new HashMap<>();

  /** The lock files among them that this process has locked, each with its file key. */
  private static final Map<Path, Object> TAKEN = new HashMap<>();

  static {
    // A process that exits normally deletes its lock files; the next writer reuses those of a
    // killed
    // process.
    Runtime.getRuntime().addShutdownHook(new Thread(TargetLock::deleteFiles));
  }

  private final Path file;
  private final @Nullable FileChannel channel; // null where the file system has no locks
  private final @Nullable Object key; // of the file that the channel is open on
  private boolean closed;

  private TargetLock(
      Path file, @Nullable FileChannel channel, @Nullable Object key, boolean closed) {
    this.file = file;
    this.channel = channel;
    this.key = key;
    this.closed = closed;
  }

  /**
   * Takes the lock of a target that need not exist, and creates its folder.
   *
   * @throws StorageException when another writer holds it; the message has its pid and host
   */
  public static TargetLock take(Path target) {
    Path file = lockFile(target);
    TargetLock lock = tryTake(target, file);
    if (lock == null) {
      throw new StorageException(
          target,
          "is being written by " + owner(file),
          "wait for it to end, or choose another name",
          null);
    }
    return lock;
  }

  /**
   * Takes the lock of a target, and waits while another writer holds it.
   *
   * @param waiting receives the name of that writer once, before the wait
   * @throws CancelledException when the thread is interrupted
   */
  public static TargetLock await(Path target, Consumer<String> waiting) {
    Path file = lockFile(target);
    boolean told = false;
    for (; ; ) {
      TargetLock lock = tryTake(target, file);
      if (lock != null) {
        return lock;
      }
      if (!told) {
        waiting.accept(owner(file));
        told = true;
      }
      try {
        Thread.sleep(POLL_MILLIS);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new CancelledException(
            target + ": waiting for " + owner(file) + " was interrupted", e);
      }
    }
  }

  /**
   * Returns the lock file of a target. Symbolic links to the target's folder lead to the same lock.
   */
  private static Path lockFile(Path target) {
    Path real = real(target);
    return real.resolveSibling("." + real.getFileName() + ".lock");
  }

  /**
   * Resolves the path of a target that need not exist, and creates its folder. Links are resolved
   * as the system does it: {@code link/..} is the parent of the link's target.
   *
   * @throws StorageException when the folder cannot be created
   * @throws InputException when the target is the root of the file system
   */
  static Path real(Path target) {
    try {
      Path absolute = target.toAbsolutePath();
      Path name = absolute.getFileName();
      if (name != null && List.of(".", "..", "").contains(name.toString())) {
        absolute = absolute.toRealPath();
        name = absolute.getFileName();
      }
      if (name == null) {
        throw new InputException(
            target
                + ": expected the name of a file or folder to write, found the root of the file"
                + " system");
      }
      Path folder = Objects.requireNonNull(absolute.getParent());
      Files.createDirectories(folder);
      return folder.toRealPath().resolve(name);
    } catch (IOException e) {
      throw failed(target, e);
    }
  }

  /** Takes the lock; null when another writer holds it. */
  private static @Nullable TargetLock tryTake(Path target, Path file) {
    synchronized (HELD) {
      Thread owner = HELD.putIfAbsent(file, Thread.currentThread());
      if (owner != null) {
        return owner == Thread.currentThread() ? new TargetLock(file, null, null, true) : null;
      }
    }
    TargetLock lock = null;
    try {
      lock = lock(file);
      if (lock != null && lock.key != null) {
        synchronized (HELD) {
          TAKEN.put(file, lock.key);
        }
      }
      return lock;
    } catch (IOException e) {
      throw failed(target, e);
    } finally {
      if (lock == null) {
        synchronized (HELD) {
          HELD.remove(file);
        }
      }
    }
  }

  /** Locks a file on which this process holds no lock; null when another process holds it. */
  private static @Nullable TargetLock lock(Path file) throws IOException {
    for (int tries = 1; ; tries++) {
      Object before = key(file);
      FileChannel channel;
      try {
        // Following a link that another user put there would truncate its target.
        channel =
            before == null
                ? FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)
                : FileChannel.open(file, StandardOpenOption.WRITE, LinkOption.NOFOLLOW_LINKS);
      } catch (FileAlreadyExistsException | NoSuchFileException e) {
        if (tries == MOST_TRIES) {
          throw e; // the folder is gone, or no file can be made in it, as in /proc
        }
        continue; // another writer created or deleted it just now
      }
      before = before == null ? key(file) : before;
      FileLock lock;
      try {
        lock = channel.tryLock();
      } catch (IOException e) { // the file system has no locks
        channel.close();
        Files.deleteIfExists(file);
        return new TargetLock(file, null, null, false);
      }
      // The owner deletes the file at its end. A lock on a deleted file would exclude no other
      // writer.
      Object after = key(file);
      if (lock != null && after != null && after.equals(before)) {
        try {
          byte[] owner =
              (ProcessHandle.current().pid() + " " + host() + "\n")
                  .getBytes(StandardCharsets.UTF_8);
          channel.truncate(0).write(ByteBuffer.wrap(owner), 0);
        } catch (IOException e) {
          // The disk is full: the message of the second writer will lack the name of this one.
        }
        return new TargetLock(file, channel, after, false);
      }
      channel.close();
      if (lock == null) {
        return null;
      }
    }
  }

  /**
   * Returns the device and inode, which distinguish a file from a later one of the same name; null
   * when there is no file.
   */
  private static @Nullable Object key(Path file) throws IOException {
    try {
      Object key =
          Files.readAttributes(file, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS)
              .fileKey();
      return key == null ? "none" : key;
    } catch (NoSuchFileException e) {
      return null;
    }
  }

  private static String owner(Path file) {
    synchronized (HELD) {
      if (HELD.containsKey(file)) {
        return "this process";
      }
    }
    try {
      String[] words = Files.readString(file).strip().split(" ", 2);
      if (words.length == 2 && words[0].matches("\\d{1,10}")) {
        return "process " + words[0] + " on " + words[1];
      }
    } catch (IOException e) {
      // The writer has just ended; the general answer below is still right.
    }
    return "another process";
  }

  /**
   * Reads the host name from the system, because resolving it over the network may take seconds.
   */
  private static String host() {
    try {
      return Files.readString(Path.of("/proc/sys/kernel/hostname")).strip();
    } catch (IOException e) {
      return Objects.requireNonNullElse(
          System.getenv("HOSTNAME"),
          Objects.requireNonNullElse(System.getenv("COMPUTERNAME"), "unknown"));
    }
  }

  /** Deletes this writer's lock file, unless another writer has replaced it. */
  private static void deleteFile(Path file, @Nullable Object key) {
    try {
      if (key != null && key.equals(key(file))) {
        Files.deleteIfExists(file);
      }
    } catch (IOException e) {
      // The file stays without a lock on it; the next writer reuses it.
    }
  }

  private static void deleteFiles() {
    synchronized (HELD) {
      TAKEN.forEach(TargetLock::deleteFile);
    }
  }

  private static StorageException failed(Path target, IOException e) {
    return StorageException.of(target, "cannot be written", e);
  }

  /** Releases the lock. */
  @Override
  public synchronized void close() {
    if (closed) {
      return;
    }
    closed = true;
    if (channel != null) {
      try (channel) {
        deleteFile(file, key);
      } catch (IOException e) {
        // The lock is gone even if closing the file fails.
      }
    }
    synchronized (HELD) {
      HELD.remove(file);
      TAKEN.remove(file);
    }
  }
}
