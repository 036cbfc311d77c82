package dev.jneox.model;

/**
 * Sizes the vocabulary of a model.
 *
 * @param rows rows of the embedding and the head, padding included (V)
 * @param used ids that the tokenizer uses; the rows from there on are padding and are never sampled
 * @param endOfText id that ends a document, or -1
 */
public record Vocabulary(int rows, int used, int endOfText) {
  /** Checks that the used ids and the id of the end lie within the rows. */
  public Vocabulary {
    ModelSpec.positive("vocab_size", rows);
    ModelSpec.require(
        used > 0 && used <= rows, "used vocabulary " + used + " is not within 1.." + rows);
  }

  /** Describes a vocabulary without padding. */
  public static Vocabulary of(int rows, int endOfText) {
    return new Vocabulary(rows, rows, endOfText);
  }
}
