package dev.jneox.hub;

import dev.jneox.io.StorageException;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/**
 * Lets one thread of one process fetch a blob while others wait; they then find the blob in the
 * cache. The cache stays correct without it: a file system may grant a lock twice, and then the
 * bytes are fetched twice.
 */
final class BlobLock implements AutoCloseable {
  private static final long LOOK_EVERY_MILLIS = 50;

  /**
   * Locks held by threads of this process, because the system's locks exclude only other processes.
   */
  private static final Set<Path> HELD = ConcurrentHashMap.newKeySet();

  private final Path path;
  private final FileChannel channel;

  private BlobLock(Path path, FileChannel channel) {
    this.path = path;
    this.channel = channel;
  }

  /** Waits for the lock. {@code waiting} runs once if that takes time. */
  static BlobLock take(Path file, Runnable waiting) throws InterruptedException {
    Path path = file.toAbsolutePath().normalize();
    for (boolean told = false; true; Thread.sleep(LOOK_EVERY_MILLIS)) {
      if (HELD.add(path)) {
        BlobLock lock = null;
        try {
          lock = open(path);
        } finally {
          if (lock == null) {
            HELD.remove(path);
          }
        }
        if (lock != null) {
          return lock;
        }
      }
      if (!told) {
        told = true;
        waiting.run();
      }
    }
  }

  /** Tries to take the lock; null while another process holds it. */
  private static @Nullable BlobLock open(Path path) {
    try {
      Files.createDirectories(path.getParent());
      FileChannel channel =
          FileChannel.open(path, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
      FileLock lock = null;
      try {
        lock = channel.tryLock();
        return lock == null ? null : new BlobLock(path, channel);
      } finally {
        if (lock == null) {
          channel.close();
        }
      }
    } catch (IOException e) {
      throw StorageException.of(path, "cannot be locked", e);
    }
  }

  @Override
  public void close() {
    try {
      channel.close();
    } catch (IOException e) {
      // The system drops the lock anyway.
    } finally {
      HELD.remove(path);
    }
  }
}
