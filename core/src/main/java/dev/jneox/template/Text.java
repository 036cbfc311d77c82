package dev.jneox.template;

import java.util.ArrayList;
import java.util.List;

/** Does what Python's strings do: they are of code points, and have Python's idea of blanks. */
final class Text {
  private Text() {}

  static boolean isSpace(int c) {
    return Character.isWhitespace(c) || Character.isSpaceChar(c) || c == 0x85;
  }

  /** Returns whether each char of a text is a code point. */
  private static boolean isFlat(String text) {
    for (int i = 0; i < text.length(); i++) {
      if (Character.isSurrogate(text.charAt(i))) {
        return false;
      }
    }
    return true;
  }

  static int length(String text) {
    return text.codePointCount(0, text.length());
  }

  /** Returns the place in the text of a code point. */
  static int offset(String text, int index) {
    return isFlat(text) ? index : text.offsetByCodePoints(0, index);
  }

  /** Returns the code points from one index to another. */
  static String part(String text, int from, int to) {
    if (from >= to) {
      return "";
    }
    int start = offset(text, from);
    return isFlat(text)
        ? text.substring(start, to)
        : text.substring(start, text.offsetByCodePoints(start, to - from));
  }

  static List<Object> characters(String text) {
    List<Object> characters = new ArrayList<>(text.length());
    text.codePoints().forEach(c -> characters.add(Character.toString(c)));
    return characters;
  }

  /** Compares by code points, not by the chars of UTF-16. */
  static int compare(String left, String right) {
    int same = 0;
    int shorter = Math.min(left.length(), right.length());
    while (same < shorter && left.charAt(same) == right.charAt(same)) {
      same++;
    }
    if (same == shorter) {
      return Integer.compare(left.length(), right.length());
    }
    char a = left.charAt(same);
    char b = right.charAt(same);
    boolean aboveA = Character.isSurrogate(a);
    boolean aboveB = Character.isSurrogate(b);
    return aboveA != aboveB ? (aboveA ? 1 : -1) : Character.compare(a, b);
  }

  static String strip(String text) {
    return stripStart(stripEnd(text));
  }

  static String stripStart(String text) {
    int from = 0;
    while (from < text.length() && isSpace(text.codePointAt(from))) {
      from += Character.charCount(text.codePointAt(from));
    }
    return text.substring(from);
  }

  static String stripEnd(String text) {
    int to = text.length();
    while (to > 0 && isSpace(text.codePointBefore(to))) {
      to -= Character.charCount(text.codePointBefore(to));
    }
    return text.substring(0, to);
  }

  /** Strips code points of a set instead of blanks. */
  static String strip(String text, String set, boolean start, boolean end) {
    int from = 0;
    int to = text.length();
    while (start && from < to && set.indexOf(text.codePointAt(from)) >= 0) {
      from += Character.charCount(text.codePointAt(from));
    }
    while (end && to > from && set.indexOf(text.codePointBefore(to)) >= 0) {
      to -= Character.charCount(text.codePointBefore(to));
    }
    return text.substring(from, to);
  }

  private static boolean isLineEnd(char c) {
    return c >= '\n' && c <= '\r'
        || c >= 0x1c && c <= 0x1e
        || c == 0x85
        || c == 0x2028
        || c == 0x2029;
  }

  static List<Object> lines(String text, boolean keepEnds) {
    List<Object> lines = new ArrayList<>();
    int from = 0;
    for (int i = 0; i < text.length(); i++) {
      if (isLineEnd(text.charAt(i))) {
        int end = text.charAt(i) == '\r' && text.startsWith("\n", i + 1) ? i + 2 : i + 1;
        lines.add(text.substring(from, keepEnds ? end : i));
        from = end;
        i = end - 1;
      }
    }
    if (from < text.length()) {
      lines.add(text.substring(from));
    }
    return lines;
  }

  /** Reads the escapes of a string literal. */
  static String unescaped(String text) {
    if (text.indexOf('\\') < 0) {
      return text;
    }
    StringBuilder out = new StringBuilder(text.length());
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (c != '\\' || i + 1 == text.length()) {
        out.append(c);
        continue;
      }
      char kind = text.charAt(++i);
      switch (kind) {
        case '\n' -> {}
        case '\\', '\'', '"' -> out.append(kind);
        case 'a' -> out.append('\u0007');
        case 'b' -> out.append('\b');
        case 'f' -> out.append('\f');
        case 'n' -> out.append('\n');
        case 'r' -> out.append('\r');
        case 't' -> out.append('\t');
        case 'v' -> out.append('\u000b');
        case 'x', 'u', 'U' -> {
          int digits = kind == 'x' ? 2 : kind == 'u' ? 4 : 8;
          out.appendCodePoint(hexadecimal(text, i + 1, digits));
          i += digits;
        }
        case 'N' ->
            throw TemplateFault.expected("escapes of characters by number, such as \\u2581", "\\N");
        case '0', '1', '2', '3', '4', '5', '6', '7' -> {
          int value = 0;
          int end = Math.min(text.length(), i + 3);
          while (i < end && text.charAt(i) >= '0' && text.charAt(i) <= '7') {
            value = value * 8 + text.charAt(i++) - '0';
          }
          i--;
          out.append((char) value);
        }
        default -> out.append('\\').append(kind);
      }
    }
    return out.toString();
  }

  private static int hexadecimal(String text, int from, int digits) {
    int value = 0;
    for (int i = from; i < from + digits; i++) {
      int digit =
          i < text.length() && text.charAt(i) < 0x80 ? Character.digit(text.charAt(i), 16) : -1;
      if (digit < 0 || value > 0x10FFFF >> 4) {
        throw TemplateFault.expected(
            digits + " hexadecimal digits of a character", "'" + text.substring(from - 1) + "'");
      }
      value = value * 16 + digit;
    }
    if (value > Character.MAX_CODE_POINT) {
      throw TemplateFault.expected("a character up to 10FFFF", Integer.toHexString(value));
    }
    return value;
  }

  /** Returns a text in Python's quotes. */
  static String quoted(String text) {
    char quote = text.indexOf('\'') >= 0 && text.indexOf('"') < 0 ? '"' : '\'';
    StringBuilder out = new StringBuilder(text.length() + 2).append(quote);
    text.codePoints()
        .forEach(
            c -> {
              switch (c) {
                case '\\' -> out.append("\\\\");
                case '\n' -> out.append("\\n");
                case '\r' -> out.append("\\r");
                case '\t' -> out.append("\\t");
                default -> {
                  if (c == quote) {
                    out.append('\\').append(quote);
                  } else if (isPrintable(c)) {
                    out.appendCodePoint(c);
                  } else if (c < 0x100) {
                    out.append("\\x%02x".formatted(c));
                  } else {
                    out.append((c < 0x10000 ? "\\u%04x" : "\\U%08x").formatted(c));
                  }
                }
              }
            });
    return out.append(quote).toString();
  }

  static boolean isPrintable(int c) {
    return c == ' '
        || switch (Character.getType(c)) {
          case Character.CONTROL,
              Character.FORMAT,
              Character.SURROGATE,
              Character.PRIVATE_USE,
              Character.UNASSIGNED,
              Character.LINE_SEPARATOR,
              Character.PARAGRAPH_SEPARATOR,
              Character.SPACE_SEPARATOR ->
              false;
          default -> true;
        };
  }

  /** Returns whether a code point has an upper and a lower case. */
  static boolean isCased(int c) {
    return Character.isUpperCase(c) || Character.isLowerCase(c) || Character.isTitleCase(c);
  }

  /** Returns a code point in title case, which may be several. */
  static String titleCase(int c) {
    int title = Character.toTitleCase(c);
    if (title != c || Character.isTitleCase(c)) {
      return Character.toString(title);
    }
    String upper = Character.toString(c).toUpperCase(java.util.Locale.ROOT);
    int first = upper.codePointAt(0);
    int rest = Character.charCount(first);
    return upper.substring(0, rest) + upper.substring(rest).toLowerCase(java.util.Locale.ROOT);
  }
}
