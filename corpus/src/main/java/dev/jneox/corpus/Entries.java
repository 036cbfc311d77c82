package dev.jneox.corpus;

import java.util.function.Consumer;

/**
 * Joins short entries that follow each other (of a dictionary, a collection of quotations) to
 * documents of a few thousand characters: alone they are too short to train on.
 */
final class Entries {
  private static final int LENGTH = 4000;

  private final String separator;
  private final Consumer<String> documents;
  private final StringBuilder page = new StringBuilder();

  Entries(String separator, Consumer<String> documents) {
    this.separator = separator;
    this.documents = documents;
  }

  void add(String entry) {
    addLines(entry.strip());
  }

  /** Adds lines whose indentation is part of them. */
  void addLines(String text) {
    if (text.isBlank()) {
      return;
    }
    if (!page.isEmpty() && page.length() + text.length() > LENGTH) {
      end();
    }
    if (!page.isEmpty()) {
      page.append(separator);
    }
    page.append(text).append('\n');
  }

  void end() {
    if (!page.isEmpty()) {
      documents.accept(page.toString());
      page.setLength(0);
    }
  }
}
