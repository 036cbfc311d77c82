package dev.jneox.corpus;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Removes lists and menus, by the rules of FineWeb (Penedo and others, 2024) with datatrove's
 * defaults.
 *
 * @param minPunctuation least share of lines that end with a mark of a sentence's end
 * @param maxShort largest share of short lines
 * @param shortLine characters of a short line at most
 * @param maxRepeated largest share of characters in repeated lines
 * @param maxNewlines most line ends for each word
 */
record FineWebRules(
    double minPunctuation, double maxShort, int shortLine, double maxRepeated, double maxNewlines)
    implements TextStep {
  private static final String ENDS = ".!?\u2026\"'\u201d\u2019\u3002\uff01\uff1f\u061f\u0964\u06d4";

  static Step of(Settings options) {
    return new FineWebRules(
        options.number("min_line_punctuation", 0.12, 0, 1),
        options.number("max_short_lines", 0.67, 0, 1),
        options.integer("short_line_length", 30, 0, Integer.MAX_VALUE),
        options.number("max_repeated_characters", 0.01, 0, 1),
        options.number("max_newline_ratio", 0.3, 0, 1000));
  }

  @Override
  public String name() {
    return "fineweb";
  }

  @Override
  public String describe() {
    return "removes lists, menus and repeated lines";
  }

  @Override
  public @Nullable String apply(Page page) {
    String text = page.text();
    List<String> lines = Words.lines(text);
    if (lines.isEmpty()) {
      return "empty";
    }
    long ended = lines.stream().filter(FineWebRules::isEnded).count();
    if (ended < minPunctuation * lines.size()) {
      return "too few lines that end a sentence";
    }
    long brief = lines.stream().filter(line -> line.length() <= shortLine).count();
    if (brief > maxShort * lines.size()) {
      return "too many short lines";
    }
    int newlines = Words.count(text, "\n");
    if (Words.Repeated.of(lines).characters() > maxRepeated * (text.length() - newlines)) {
      return "characters in repeated lines";
    }
    return newlines > maxNewlines * Words.of(text).size() ? "too many line ends" : null;
  }

  private static boolean isEnded(String line) {
    String stripped = line.stripTrailing();
    return ENDS.indexOf(stripped.charAt(stripped.length() - 1)) >= 0;
  }
}
