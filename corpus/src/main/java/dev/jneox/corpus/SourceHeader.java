package dev.jneox.corpus;

import java.util.Locale;

/**
 * Finds the comment with a licence that source files begin with. Files that share nothing else are
 * much alike by it where they are short.
 */
final class SourceHeader {
  /** A comment that is longer is more than a licence. */
  private static final int LONGEST = 20_000;

  private SourceHeader() {}

  /**
   * Returns a text from behind the comments that it begins with, where these name a licence or a
   * copyright; else the text. Known are comments of lines ({@code //}, {@code #}, {@code ;}, {@code
   * %}, {@code --}, {@code "}) and of blocks ({@code /* *}{@code /}, {@code <!-- -->}, {@code (*
   * *)}, {@code {- -}}), behind a line that names an interpreter.
   */
  static String without(String text) {
    int end = end(text);
    String header = text.substring(0, end).toLowerCase(Locale.ROOT);
    return header.contains("license")
            || header.contains("licence")
            || header.contains("copyright")
            || header.contains("spdx-")
        ? text.substring(end)
        : text;
  }

  private static int end(String text) {
    int end = 0;
    for (int at = 0; at < Math.min(text.length(), LONGEST); ) {
      int line = text.indexOf('\n', at);
      int next = line < 0 ? text.length() : line + 1;
      String begin = text.substring(at, next).strip();
      if (begin.isEmpty()) {
        at = next;
        continue;
      }
      String close =
          begin.startsWith("/*")
              ? "*/"
              : begin.startsWith("<!--")
                  ? "-->"
                  : begin.startsWith("(*") ? "*)" : begin.startsWith("{-") ? "-}" : "";
      if (!close.isEmpty()) {
        int closed = text.indexOf(close, text.indexOf(begin.charAt(0), at) + 2);
        if (closed < 0 || closed > LONGEST) {
          break;
        }
        next = closed + close.length();
      } else if (!(begin.startsWith("//")
          || begin.startsWith("#")
              && !begin.matches("#\\s*(include|define|if|ifdef|ifndef|pragma|import)\\b.*")
          || begin.startsWith(";")
          || begin.startsWith("%")
          || begin.startsWith("--")
          || begin.startsWith("\""))) {
        break;
      }
      at = next;
      end = next;
    }
    return end;
  }
}
