package dev.jneox.io;

import java.util.Locale;

/**
 * Makes text from a file safe to print: a terminal would obey escape sequences in it, and marks for
 * the direction of writing would show it in another order than it has.
 */
public final class VisibleText {
  private VisibleText() {}

  /**
   * Replaces control characters, line separators, marks of direction and unpaired surrogates by
   * {@code \}{@code uXXXX}.
   */
  public static String of(String text) {
    return of(text, false);
  }

  /** Does the same, but leaves tabs and the ends of lines as they are. */
  public static String lines(String text) {
    StringBuilder out = new StringBuilder(text.length());
    int from = 0;
    for (int i = 0; i <= text.length(); i++) {
      char c = i < text.length() ? text.charAt(i) : '\n';
      if (c == '\n' || c == '\t' || c == '\r' && text.startsWith("\n", i + 1)) {
        out.append(of(text.substring(from, i)));
        if (i < text.length()) {
          out.append(c);
        }
        from = i + 1;
      }
    }
    return out.toString();
  }

  /**
   * Does the same as {@link #of}, but replaces a run of line breaks, tabs and separators by one
   * space.
   */
  public static String line(String text) {
    return of(text, true);
  }

  private static String of(String text, boolean oneLine) {
    StringBuilder out = null;
    for (int i = 0, next; i < text.length(); i = next) {
      int c = text.codePointAt(i);
      next = i + Character.charCount(c);
      if (!isHidden(c)) {
        if (out != null) {
          out.appendCodePoint(c);
        }
        continue;
      }
      out = out == null ? new StringBuilder(text.length() + 16).append(text, 0, i) : out;
      if (!oneLine || !breaksLine(c)) {
        out.append(String.format(Locale.ROOT, "\\u%04x", c));
      } else if (i == 0 || !breaksLine(text.charAt(i - 1))) {
        out.append(' ');
      }
    }
    return out == null ? text : out.toString();
  }

  private static boolean breaksLine(int c) {
    return c >= '\t' && c <= '\r' || c == 0x85 || c == 0x2028 || c == 0x2029;
  }

  /** Returns whether a terminal would do anything but show the character. */
  static boolean isHidden(int c) {
    return Character.isISOControl(c)
        || c >= 0xD800 && c <= 0xDFFF
        || c == 0x061C
        || c == 0x200E
        || c == 0x200F
        || c >= 0x2028 && c <= 0x202E
        || c >= 0x2066 && c <= 0x2069;
  }
}
