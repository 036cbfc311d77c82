package dev.jneox.hub;

import java.io.File;
import java.nio.charset.StandardCharsets;
import java.util.regex.Pattern;

/**
 * Decides which names a server may give to a file: relative paths of plain names joined by {@code
 * /}. It rejects absolute paths, {@code ..}, backslashes, invisible characters and those that
 * change the direction of writing; on Windows also drive letters and the like.
 */
final class SafePath {
  private static final int LONGEST = 1000;
  private static final int LONGEST_PART = 255;
  private static final Pattern FORBIDDEN =
      Pattern.compile("[\\p{Cc}\\p{Cs}\\p{Zl}\\p{Zp}\\u202a-\\u202e\\u2066-\\u2069\\\\]");

  /**
   * Streams, drives, patterns; and the dots and spaces at the end that Windows drops, which makes
   * two names of one file.
   */
  private static final Pattern FORBIDDEN_ON_WINDOWS = Pattern.compile("[:*?\"<>|]|[. ](/|$)");

  private SafePath() {}

  static boolean is(String name) {
    if (name.isEmpty() || name.length() > LONGEST || FORBIDDEN.matcher(name).find()) {
      return false;
    }
    if (File.separatorChar == '\\' && FORBIDDEN_ON_WINDOWS.matcher(name).find()) {
      return false;
    }
    for (String part : name.split("/", -1)) {
      if (part.isEmpty()
          || part.equals(".")
          || part.equals("..")
          || part.getBytes(StandardCharsets.UTF_8).length > LONGEST_PART) {
        return false;
      }
    }
    return true;
  }
}
