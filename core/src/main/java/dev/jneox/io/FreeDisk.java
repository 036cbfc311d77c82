package dev.jneox.io;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** Tells how much may still be written. */
public final class FreeDisk {
  private FreeDisk() {}

  /**
   * Returns the bytes that this user may write into a folder, or where it does not exist yet into
   * the nearest one above it.
   *
   * @return {@link Long#MAX_VALUE} where the system does not say: the write itself reports a full
   *     disk
   */
  public static long bytes(Path folder) {
    Path there = folder.toAbsolutePath();
    while (there != null && !Files.isDirectory(there)) {
      there = there.getParent();
    }
    try {
      return there == null ? Long.MAX_VALUE : Files.getFileStore(there).getUsableSpace();
    } catch (IOException e) {
      return Long.MAX_VALUE;
    }
  }
}
