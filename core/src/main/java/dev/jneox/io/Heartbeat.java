package dev.jneox.io;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.Optional;

/**
 * Shows another process of this machine that this one is alive, and how far it is, in a small
 * mapped file. A thread counts twice a second, which a stopped process does not; what the process
 * finishes counts apart, so that one that is alive and hangs is found too. All methods may be
 * called by any thread.
 */
public final class Heartbeat implements AutoCloseable {
  private static final long BEAT_MILLIS = 500;

  private static final long ALIVE = 0;
  private static final long PROGRESS = 8;
  private static final long SAVED = 16;
  private static final long LENGTH = 24;
  private static final long TEXT = 32;
  private static final int SIZE = 512;

  private final Arena arena = Arena.ofShared();
  private final MemorySegment memory;
  private final Thread beats;
  private volatile boolean begun;
  private boolean closed;

  /**
   * What another process reads.
   *
   * @param alive grows while the process runs
   * @param progress grows when it finishes a piece of work
   * @param saved the step of its newest checkpoint, -1 for none
   * @param waiting what it waits for; empty while it works
   */
  public record Seen(long alive, long progress, long saved, String waiting) {}

  /**
   * Creates the file and begins to count.
   *
   * @throws StorageException when the file cannot be written
   */
  public Heartbeat(Path file) {
    try (FileChannel channel =
        FileChannel.open(
            file, StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
      memory = channel.map(FileChannel.MapMode.READ_WRITE, 0, SIZE, arena);
    } catch (IOException e) {
      arena.close();
      throw StorageException.of(file, "cannot be written", e);
    }
    set(SAVED, -1);
    set(ALIVE, 1);
    beats = Thread.ofPlatform().daemon().name("heartbeat").start(this::beat);
  }

  private void beat() {
    try {
      while (true) {
        add(ALIVE);
        if (!begun) {
          add(PROGRESS);
        }
        Thread.sleep(BEAT_MILLIS);
      }
    } catch (InterruptedException e) {
      return; // closed
    }
  }

  private synchronized void set(long offset, long value) {
    if (!closed) {
      memory.set(ValueLayout.JAVA_LONG, offset, value);
    }
  }

  private synchronized void add(long offset) {
    if (!closed) {
      memory.set(ValueLayout.JAVA_LONG, offset, memory.get(ValueLayout.JAVA_LONG, offset) + 1);
    }
  }

  /**
   * Tells that the work begins which {@link #progress} counts. Before, as while a large checkpoint
   * is read, that the process is alive counts as progress.
   */
  public void begin() {
    begun = true;
  }

  /** Counts a piece of work that is finished. */
  public void progress() {
    add(PROGRESS);
  }

  /** Tells the step of the newest checkpoint. */
  public void saved(long step) {
    set(SAVED, step);
    add(PROGRESS);
  }

  /** Tells what the process waits for; an empty text when it works again, which is progress. */
  public synchronized void waiting(String what) {
    byte[] text = what.getBytes(StandardCharsets.UTF_8);
    int length = Math.min(text.length, SIZE - (int) TEXT);
    if (!closed) {
      MemorySegment.copy(text, 0, memory, ValueLayout.JAVA_BYTE, TEXT, length);
      memory.set(ValueLayout.JAVA_LONG, LENGTH, length);
    }
    if (length == 0) {
      add(PROGRESS);
    }
  }

  /**
   * Reads the file of another process.
   *
   * @return empty where it has written none yet
   * @throws StorageException when the file cannot be read
   */
  public static Optional<Seen> read(Path file) {
    byte[] bytes;
    try {
      bytes = Files.readAllBytes(file);
    } catch (NoSuchFileException e) {
      return Optional.empty();
    } catch (IOException e) {
      throw StorageException.of(file, "cannot be read", e);
    }
    if (bytes.length < SIZE) {
      return Optional.empty();
    }
    MemorySegment memory = MemorySegment.ofArray(Arrays.copyOf(bytes, SIZE));
    ValueLayout.OfLong number = ValueLayout.JAVA_LONG_UNALIGNED;
    if (memory.get(number, ALIVE) == 0) {
      return Optional.empty(); // its first values are on the way
    }
    int length = (int) Math.clamp(memory.get(number, LENGTH), 0, SIZE - TEXT);
    return Optional.of(
        new Seen(
            memory.get(number, ALIVE),
            memory.get(number, PROGRESS),
            memory.get(number, SAVED),
            new String(bytes, (int) TEXT, length, StandardCharsets.UTF_8)));
  }

  @Override
  public void close() {
    beats.interrupt();
    synchronized (this) {
      if (!closed) {
        closed = true;
        arena.close();
      }
    }
  }
}
