package dev.jneox.eval;

import dev.jneox.template.TextTemplate;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/** Does with texts what Python's {@code str} does, where Java's String differs. */
final class PythonText {
  private static final TextTemplate STR = TextTemplate.parse("{{value}}", "str");

  private PythonText() {}

  /** Tells what {@code str.isspace} is true for; all of it lies in the basic plane. */
  static boolean isSpace(char c) {
    return c >= 0x1C && c <= 0x20
        || c >= '\t' && c <= '\r'
        || c == 0x85
        || Character.isSpaceChar(c);
  }

  /** Returns {@code text.rstrip()}. */
  static String stripEnd(String text) {
    int end = text.length();
    while (end > 0 && isSpace(text.charAt(end - 1))) {
      end--;
    }
    return text.substring(0, end);
  }

  /** Returns {@code text.strip()}. */
  static String strip(String text) {
    int begin = 0;
    while (begin < text.length() && isSpace(text.charAt(begin))) {
      begin++;
    }
    return stripEnd(text.substring(begin));
  }

  /**
   * Returns {@code text.split()[:n]}.
   *
   * @param n most words
   */
  static List<String> words(String text, int n) {
    List<String> words = new ArrayList<>();
    int at = 0;
    while (words.size() < n) {
      while (at < text.length() && isSpace(text.charAt(at))) {
        at++;
      }
      if (at == text.length()) {
        break;
      }
      int begin = at;
      while (at < text.length() && !isSpace(text.charAt(at))) {
        at++;
      }
      words.add(text.substring(begin, at));
    }
    return words;
  }

  /** Returns {@code text.capitalize()}. */
  static String capitalize(String text) {
    if (text.isEmpty()) {
      return text;
    }
    int first = Character.charCount(text.codePointAt(0));
    // Title case: of letters such as U+01C6 it is not upper case.
    String head = text.substring(0, first);
    int title = Character.toTitleCase(head.codePointAt(0));
    String upper = head.toUpperCase(Locale.ROOT);
    return (upper.codePointCount(0, upper.length()) > 1 ? upper : Character.toString(title))
        + text.substring(first).toLowerCase(Locale.ROOT);
  }

  /** Removes the characters of {@code string.punctuation}. */
  static String withoutPunctuation(String text) {
    return text.replaceAll("[!-/:-@\\[-`{-~]", "");
  }

  /** Tells whether {@code text.isdigit()}. */
  static boolean isDigits(String text) {
    return !text.isEmpty() && text.codePoints().allMatch(Character::isDigit);
  }

  /** Returns {@code len(text)}: code points. */
  static int length(String text) {
    return text.codePointCount(0, text.length());
  }

  /** Returns {@code len(text.encode())}. */
  static int bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8).length;
  }

  /** Returns {@code str(value)} of a value of JSON. */
  static String of(@Nullable Object value) {
    return value instanceof String text
        ? text
        : STR.render(Collections.singletonMap("value", value));
  }
}
