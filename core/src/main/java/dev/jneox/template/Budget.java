package dev.jneox.template;

/** Counts what a rendering has cost and stops it at its {@link Limits}. */
final class Budget {
  /** Characters that are copied or compared in about the time of a step. */
  private static final int CHARACTERS = 32;

  private final Limits limits;
  private long steps;
  private long text;

  Budget(Limits limits) {
    this.limits = limits;
  }

  void step() {
    steps(1);
  }

  /** Counts steps before they are taken. */
  void steps(long count) {
    steps += Math.max(0, count);
    if (steps > limits.steps()) {
      throw TemplateFault.expected(
          "at most " + limits.steps() + " steps of rendering", "a template that takes more");
    }
  }

  /** Counts a text that is about to be made, of so many characters. */
  void text(long length) {
    if (length > limits.output()) {
      throw TemplateFault.expected(
          "a text of at most " + limits.output() + " characters", String.valueOf(length));
    }
    text += Math.max(0, length);
    if (text > limits.text()) {
      throw TemplateFault.expected(
          "at most " + limits.text() + " characters of text while rendering",
          "a template that makes more");
    }
    read(length);
  }

  /** Counts characters that are only read. */
  void read(long length) {
    steps(1 + length / CHARACTERS);
  }

  /** Counts a search, which may compare a long needle at every place. */
  void search(long length, long needle) {
    if (needle > 0 && length >= needle) {
      long places = length - needle + 1;
      steps(1 + places / CHARACTERS + places * Math.min(needle, Integer.MAX_VALUE) / 256);
    } else {
      step();
    }
  }
}
