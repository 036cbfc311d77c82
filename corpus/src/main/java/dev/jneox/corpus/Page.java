package dev.jneox.corpus;

import java.util.TreeMap;
import java.util.stream.Collectors;

/** Holds a document while steps clean it. */
public final class Page {
  private final String meta;
  private String text;
  private String language = "";
  private final TreeMap<String, Long> counts = new TreeMap<>();

  Page(String text, String meta) {
    this.text = text;
    this.meta = meta;
  }

  /** Returns the text as the steps so far have left it. */
  public String text() {
    return text;
  }

  /** Replaces the text. */
  public void text(String text) {
    this.text = text;
  }

  /** Returns what the source says about the document: a JSON object, or an empty string. */
  public String meta() {
    return meta;
  }

  /** Returns the language, ISO 639-3, where a step has found it; else an empty string. */
  public String language() {
    return language;
  }

  /** Sets the language. */
  public void language(String language) {
    this.language = language;
  }

  /**
   * Counts what a step has found, for the datasheet.
   *
   * @param kind letters alone
   * @param n how many; 0 counts nothing
   */
  public void count(String kind, long n) {
    if (n > 0) {
      counts.merge(kind, n, Long::sum);
    }
  }

  /** Returns all counts as {@code KIND=N}, with a space between them. */
  String counts() {
    return counts.entrySet().stream()
        .map(count -> count.getKey() + "=" + count.getValue())
        .collect(Collectors.joining(" "));
  }

  /** Adds counts as {@link #counts()} gives them. */
  void counts(String text) {
    for (String count : text.isEmpty() ? new String[0] : text.split(" ", -1)) {
      int equals = count.indexOf('=');
      count(count.substring(0, equals), Long.parseLong(count.substring(equals + 1)));
    }
  }
}
