package dev.jneox.corpus;

/** Holds a document while steps clean it. */
public final class Page {
  private final String meta;
  private String text;
  private String language = "";

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
}
