package dev.jneox.corpus;

/**
 * Removes documents whose text is that of an earlier one, byte for byte. Of each group the document
 * with the smallest id stays: that of the earlier source.
 *
 * @param index of this build and of earlier ones
 */
record ExactDedup(KeyIndex index) implements Step {
  static Step of(Settings options) {
    return new ExactDedup(
        KeyIndex.of("exact_dedup", "the first 128 bits of the SHA-256 of the text", options));
  }

  @Override
  public String name() {
    return "exact_dedup";
  }

  @Override
  public String describe() {
    return "removes repeated documents, byte for byte" + index.describe();
  }

  @Override
  public Step numbered(int number) {
    return new ExactDedup(index.numbered(number));
  }
}
