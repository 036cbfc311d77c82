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
 * Keeps a second writer away from a file or folder while it is being written, in this process, in
 * others and on other hosts.
 *
 * <p>The lock is the operating system's, on a file {@code .NAME.lock} beside the target that holds
 * the owner's pid and host. A killed owner loses it at once; the file may stay and does no harm.
 * {@link #close} deletes the file. On a file system without locks only writers in this process
 * exclude each other. The thread that has a lock may take it again; it is released when the first
 * one is closed.
 */
public final class TargetLock implements AutoCloseable {
  /** How often a waiting writer looks again. */
  private static final long POLL_MILLIS = 50;

  /**
   * Lock files held by this process. POSIX drops all locks of a process on a file when it closes
   * any descriptor of that file, so a lock file that is held is never opened again.
   */
  private static final Map<Path, Thread> HELD = new HashMap<>();

  /** The lock files among them that this process has locked, with what tells each from another. */
  private static final Map<Path, Object> TAKEN = new HashMap<>();

  static {
    // A process that is told to end leaves no lock files; of a killed one the next writer takes
    // over.
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
   * Takes the lock of a target that need not exist; its folder is created.
   *
   * @throws StorageException when another writer has it, naming its pid and host
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
   * Takes the lock of a target, waiting for another writer to end.
   *
   * @param waiting is given the name of that writer once before waiting, for a message
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

  /** Symbolic links to the target's folder lead to one lock. */
  private static Path lockFile(Path target) {
    Path real = real(target);
    return real.resolveSibling("." + real.getFileName() + ".lock");
  }

  /**
   * Finds the place of a target that need not exist, whose folder is created. Links are resolved as
   * the system does it: {@code link/..} is the folder above that of the link's target.
   *
   * @throws StorageException when it cannot be written
   * @throws InputException when it is the root of the file system
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

  /** The lock, or null when another has it. */
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

  /** Locks the file that this process holds none of; null when another process has it. */
  private static @Nullable TargetLock lock(Path file) throws IOException {
    for (; ; ) {
      Object before = key(file);
      FileChannel channel;
      try {
        // A link that somebody else put there would have its target truncated.
        channel =
            before == null
                ? FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)
                : FileChannel.open(file, StandardOpenOption.WRITE, LinkOption.NOFOLLOW_LINKS);
      } catch (FileAlreadyExistsException | NoSuchFileException e) {
        continue; // another writer began or ended in this moment
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
      // An owner deletes the file when it ends: a lock on a file without a name excludes nobody.
      Object after = key(file);
      if (lock != null && after != null && after.equals(before)) {
        try {
          byte[] owner =
              (ProcessHandle.current().pid() + " " + host() + "\n")
                  .getBytes(StandardCharsets.UTF_8);
          channel.truncate(0).write(ByteBuffer.wrap(owner), 0);
        } catch (IOException e) {
          // A full disk: the second writer will not learn the name of this one.
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
   * What tells a file from another of the same name (device and inode); null when there is none.
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
      // It ended in this moment: what follows is still right.
    }
    return "another process";
  }

  /**
   * From the system, not from the network, where the name of a host may take seconds to resolve.
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

  /** Deletes a lock file unless somebody deleted it before, and it is another writer's by now. */
  private static void deleteFile(Path file, @Nullable Object key) {
    try {
      if (key != null && key.equals(key(file))) {
        Files.deleteIfExists(file);
      }
    } catch (IOException e) {
      // It stays, without a lock on it: the next writer takes it over.
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

  /** Lets the next writer in. */
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
        // The file is closed in any case.
      }
    }
    synchronized (HELD) {
      HELD.remove(file);
      TAKEN.remove(file);
    }
  }
}
