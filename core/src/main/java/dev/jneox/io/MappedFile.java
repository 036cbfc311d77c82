package dev.jneox.io;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.Collections;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.WeakHashMap;

/**
 * Maps a regular file read-only and tells whether it has changed since. The system ends a process
 * that reads a mapped page behind the end of a file that became shorter; in Java code the JVM turns
 * that into an {@link InternalError}, in machine code it cannot. So a reader calls {@link #check}
 * before each use. A change between the check and the use is not noticed.
 *
 * @param file the path it was opened by
 * @param memory the whole file; valid as long as the arena
 * @param opened size, time of change and identity when it was mapped
 */
public record MappedFile(Path file, MemorySegment memory, BasicFileAttributes opened) {
  /** All that may be in use; a few for each model and data set. */
  private static final Set<MappedFile> OPEN = Collections.newSetFromMap(new WeakHashMap<>());

  /**
   * Maps a file; the mapping ends with the arena.
   *
   * @throws InputException when it is a FIFO, a socket or a device
   * @throws IOException when it cannot be mapped
   */
  public static MappedFile open(Path file, Arena arena) throws IOException {
    InputFile.check(file);
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
      BasicFileAttributes opened = Files.readAttributes(file, BasicFileAttributes.class);
      MappedFile mapped =
          new MappedFile(
              file, channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), arena), opened);
      synchronized (OPEN) {
        OPEN.add(mapped);
      }
      return mapped;
    }
  }

  /**
   * Finds a mapped file of this process that was changed in place: the reason of an {@link
   * InternalError} in reading one. Empty where there is none.
   */
  public static Optional<StorageException> changed() {
    List<MappedFile> files;
    synchronized (OPEN) {
      files = List.copyOf(OPEN);
    }
    for (MappedFile file : files) {
      try {
        file.check();
      } catch (StorageException e) {
        return Optional.of(e);
      }
    }
    return Optional.empty();
  }

  /**
   * Checks that the file has the size and time of change that it had when it was mapped. One that
   * was deleted, or replaced by another file under its name, is fine: the mapping keeps the old
   * one.
   *
   * @throws StorageException when it was changed in place
   */
  public void check() {
    BasicFileAttributes now;
    try {
      now = Files.readAttributes(file, BasicFileAttributes.class);
    } catch (NoSuchFileException e) {
      return;
    } catch (IOException e) {
      return; // the folder can no longer be read; the mapping can
    }
    boolean same = Objects.equals(now.fileKey(), opened.fileKey());
    if (same
        && (now.size() != memory.byteSize()
            || !now.lastModifiedTime().equals(opened.lastModifiedTime()))) {
      throw new StorageException(
          file,
          "was changed while it was in use",
          "expected "
              + memory.byteSize()
              + " bytes of "
              + opened.lastModifiedTime()
              + ", found "
              + now.size()
              + " of "
              + now.lastModifiedTime()
              + "; start again, and replace a file by renaming a new one, never in place",
          null);
    }
  }

  /** Gives resident pages back; see {@link MappedMemory#release}. */
  public void release() {
    MappedMemory.release(memory);
  }
}
