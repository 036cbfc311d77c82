package dev.jneox.corpus;

import java.util.function.Consumer;

/** Reads a long record, such as a changelog: its paragraphs, a few thousand characters together. */
final class ParagraphsText {
  private ParagraphsText() {}

  static void read(String text, Consumer<String> documents) {
    Entries entries = new Entries("\n", documents);
    for (String paragraph : text.replace("\r", "").split("\n[ \t]*\n")) {
      String trimmed = paragraph.stripTrailing();
      int from = 0;
      while (from < trimmed.length() && trimmed.charAt(from) == '\n') {
        from++;
      }
      entries.addLines(trimmed.substring(from));
    }
    entries.end();
  }
}
