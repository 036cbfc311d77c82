package dev.jneox.io;

import java.util.Locale;
import java.util.OptionalLong;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Writes and reads numbers of bytes in decimal units. */
public final class ByteSize {
  private static final Pattern SIZE =
      Pattern.compile("([0-9]{1,12}(?:[.][0-9]{1,6})?)(B|KB|MB|GB|TB)?", Pattern.CASE_INSENSITIVE);

  private ByteSize() {}

  /** Returns {@code 512 bytes}, {@code 4.2 kB}, {@code 1.5 MB}, {@code 40.3 GB} or more. */
  public static String text(long bytes) {
    if (bytes < 1000) {
      return bytes + " bytes";
    }
    // A value that would be rounded to 1000.0 of a unit has the next one.
    return bytes < 999_950
        ? unit(bytes, 1e3, "kB")
        : bytes < 999_950_000
            ? unit(bytes, 1e6, "MB")
            : bytes < 999_950_000_000L ? unit(bytes, 1e9, "GB") : unit(bytes, 1e12, "TB");
  }

  /**
   * Returns how much is needed beside how much is free, which {@link #text} may round to the same.
   *
   * @param needed more than {@code free}
   */
  public static String lack(long needed, long free) {
    String wanted = text(needed);
    String there = text(free);
    return wanted.equals(there)
        ? String.format(
            Locale.ROOT, "needs %s, %s are free: %s too little", wanted, there, text(needed - free))
        : "needs " + wanted + ", " + there + " are free";
  }

  /** Reads {@code 5GB}, {@code 1.5 mb} or a bare number of bytes; empty where it is neither. */
  public static OptionalLong parse(String text) {
    Matcher matcher = SIZE.matcher(text.strip());
    if (!matcher.matches()) {
      return OptionalLong.empty();
    }
    double unit =
        switch (matcher.group(2) == null ? "" : matcher.group(2).toUpperCase(Locale.ROOT)) {
          case "KB" -> 1e3;
          case "MB" -> 1e6;
          case "GB" -> 1e9;
          case "TB" -> 1e12;
          default -> 1;
        };
    return OptionalLong.of((long) (Double.parseDouble(matcher.group(1)) * unit));
  }

  private static String unit(long bytes, double size, String name) {
    return String.format(Locale.ROOT, "%,.1f %s", bytes / size, name);
  }
}
