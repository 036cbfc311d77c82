package dev.jneox.hub;

import java.io.File;
import java.nio.charset.StandardCharsets;
import java.util.regex.Pattern;

/**
 * What a server may call a file: a relative path with {@code /} between plain names. Absolute
 * paths, {@code ..}, backslashes, and characters that cannot be seen or turn the direction of
 * writing are not; on Windows, drive letters and the like neither.
 */
final class SafeName {
  private static final int LONGEST = 1000;
  private static final int LONGEST_PART = 255;
  private static final Pattern FORBIDDEN =
      Pattern.compile("[\\p{Cc}\\p{Cs}\\p{Zl}\\p{Zp}\\u202a-\\u202e\\u2066-\\u2069\\\\]");

  /**
   * Streams, drives, patterns; and the dots and spaces at the end that Windows drops, which makes
   * two names of one file.
   */
  private static final Pattern FORBIDDEN_ON_WINDOWS = Pattern.compile("[:*?\"<>|]|[. ](/|$)");

  private SafeName() {}

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
