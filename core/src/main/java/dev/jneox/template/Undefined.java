package dev.jneox.template;

/**
 * Is the value of a name or a key that is not there: an empty text, false, no elements.
 *
 * @param why what is not there, as an error says it when more is asked of it
 */
record Undefined(String why) {
  TemplateFault fault() {
    return new TemplateFault("expected a value, found none: " + why);
  }

  /** All of them are equal, whatever is missing. */
  @Override
  public boolean equals(Object other) {
    return other instanceof Undefined;
  }

  @Override
  public int hashCode() {
    return 0;
  }
}
