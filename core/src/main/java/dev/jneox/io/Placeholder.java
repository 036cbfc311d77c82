package dev.jneox.io;

import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * Recognises what often lies in place of a file that was not fetched: a Git LFS pointer (a clone
 * without git-lfs) or a web page (a link to the hub's page of the file, or an error of a server).
 */
public final class Placeholder {
  private static final String POINTER = "version https://git-lfs";

  /** Bytes at the start of a file that tell. */
  private static final int ENOUGH = 64;

  private Placeholder() {}

  /**
   * Returns what a file is in place of itself and what to do, in brackets after a space; empty when
   * it is neither, or cannot be read.
   */
  public static String hint(Path file) {
    if (!Files.isRegularFile(file)) {
      return "";
    }
    try (InputStream in = Files.newInputStream(file)) {
      return hint(in.readNBytes(ENOUGH));
    } catch (IOException e) {
      return "";
    }
  }

  /** Returns the same for the content of a file. */
  public static String hint(MemorySegment content) {
    return hint(
        content.asSlice(0, Math.min(content.byteSize(), ENOUGH)).toArray(ValueLayout.JAVA_BYTE));
  }

  /** Returns the same for the first characters of a file. */
  public static String hint(String content) {
    return hint(
        content.substring(0, Math.min(content.length(), ENOUGH)).getBytes(StandardCharsets.UTF_8));
  }

  private static String hint(byte[] start) {
    String text = new String(start, StandardCharsets.UTF_8).replace("\uFEFF", "").stripLeading();
    if (text.startsWith(POINTER)) {
      return " (a Git LFS pointer; fetch the file itself with git lfs pull)";
    }
    return text.matches("(?s)<[!?A-Za-z].*")
        ? " (a web page; fetch the file itself, of a hub by its download link)"
        : "";
  }

  /** Returns whether a file is a Git LFS pointer. */
  public static boolean isPointer(Path file) {
    return hint(file).contains("LFS");
  }
}
