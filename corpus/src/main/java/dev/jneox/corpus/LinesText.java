package dev.jneox.corpus;

import java.util.function.Consumer;

/**
 * Reads a list with an entry on each line, such as a vocabulary; lines of {@code #} are comments.
 */
final class LinesText {
  private LinesText() {}

  static void read(String text, Consumer<String> documents) {
    Entries entries = new Entries("", documents);
    text.lines().filter(line -> !line.startsWith("#")).forEach(entries::add);
    entries.end();
  }
}
