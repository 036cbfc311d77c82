package dev.jneox.model;

/**
 * Sizes the token ids of a model.
 *
 * @param rows rows of the embedding and the head, padding included (V)
 * @param used ids that mean something; the rest of the rows are padding and are never sampled
 * @param endOfText id that ends a document, or -1
 */
public record Vocabulary(int rows, int used, int endOfText) {
  public Vocabulary {
    ModelSpec.positive("vocab_size", rows);
    ModelSpec.require(
        used > 0 && used <= rows, "used vocabulary " + used + " is not within 1.." + rows);
  }

  /** A vocabulary whose every row is used. */
  public static Vocabulary of(int rows, int endOfText) {
    return new Vocabulary(rows, rows, endOfText);
  }
}
