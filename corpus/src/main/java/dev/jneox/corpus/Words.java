package dev.jneox.corpus;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/** Divides text as the rules of quality count it: words at white space, lines, paragraphs. */
final class Words {
  private Words() {}

  /** Returns the words of a text, punctuation and all. */
  static List<String> of(String text) {
    List<String> words = new ArrayList<>(text.length() / 6 + 1);
    int start = -1;
    for (int i = 0; i < text.length(); i++) {
      boolean space = Character.isWhitespace(text.charAt(i)) || text.charAt(i) == '\u00a0';
      if (space && start >= 0) {
        words.add(text.substring(start, i));
        start = -1;
      } else if (!space && start < 0) {
        start = i;
      }
    }
    if (start >= 0) {
      words.add(text.substring(start));
    }
    return words;
  }

  /** Returns a word without punctuation at its ends, in lower case. */
  static String bare(String word) {
    int from = 0;
    int to = word.length();
    while (from < to && !Character.isLetterOrDigit(word.charAt(from))) {
      from++;
    }
    while (to > from && !Character.isLetterOrDigit(word.charAt(to - 1))) {
      to--;
    }
    return word.substring(from, to).toLowerCase(java.util.Locale.ROOT);
  }

  static boolean hasLetter(String word) {
    return word.codePoints().anyMatch(Character::isLetter);
  }

  static boolean hasLetterOrDigit(String word) {
    return word.codePoints().anyMatch(Character::isLetterOrDigit);
  }

  /** Returns the lines that are not blank. */
  static List<String> lines(String text) {
    return text.lines().filter(line -> !line.isBlank()).toList();
  }

  static int count(String text, String part) {
    int n = 0;
    for (int i = text.indexOf(part); i >= 0; i = text.indexOf(part, i + part.length())) {
      n++;
    }
    return n;
  }

  /**
   * Is what of a list repeats earlier items.
   *
   * @param items number of them
   * @param characters of them
   */
  record Repeated(int items, int characters) {
    static Repeated of(List<String> list) {
      Set<String> seen = new HashSet<>();
      int items = 0;
      int characters = 0;
      for (String item : list) {
        if (!seen.add(item)) {
          items++;
          characters += item.length();
        }
      }
      return new Repeated(items, characters);
    }
  }
}
