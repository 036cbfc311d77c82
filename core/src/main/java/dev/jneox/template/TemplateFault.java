package dev.jneox.template;

/** Reports an error in a template without its line; {@link ChatTemplate} adds name and line. */
final class TemplateFault extends RuntimeException {
  private static final long serialVersionUID = 1;

  TemplateFault(String message) {
    // Neither suppression nor a stack trace: a template may raise many, in attempts that fail.
    super(message, null, false, false);
  }

  static TemplateFault expected(String expected, String found) {
    return new TemplateFault("expected " + expected + ", found " + found);
  }

  String message() {
    return String.valueOf(getMessage());
  }
}
