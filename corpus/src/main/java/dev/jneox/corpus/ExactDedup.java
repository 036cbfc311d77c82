package dev.jneox.corpus;

/**
 * Removes documents whose text is that of an earlier one, byte for byte. Of each group the document
 * with the smallest id stays: that of the earlier source.
 */
record ExactDedup() implements Step {
  static Step of(Settings options) {
    return new ExactDedup();
  }

  @Override
  public String name() {
    return "exact_dedup";
  }

  @Override
  public String describe() {
    return "removes repeated documents, byte for byte";
  }
}
