package dev.jneox.io;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** Measures free disk space. */
public final class FreeDisk {
  private FreeDisk() {}

  /**
   * Returns how many bytes this user may write into a folder. For a folder that does not exist, the
   * nearest existing parent counts.
   *
   * @return {@link Long#MAX_VALUE} where the system does not say; the write itself then reports a
   *     full disk
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
