package dev.jneox.model;

import java.util.List;

/**
 * Sizes the vocabulary of a model.
 *
 * @param rows rows of the embedding and the head, padding included (V)
 * @param used ids that the tokenizer uses; the rows from there on are padding and are never sampled
 * @param endOfText id that ends a document, or -1
 * @param ends the ids that end a generated text: mostly {@code endOfText} alone, in chat models the
 *     end of a turn as well; empty where none does
 */
public record Vocabulary(int rows, int used, int endOfText, List<Integer> ends) {
  /** Checks that the used ids lie within the rows. */
  public Vocabulary {
    ModelSpec.positive("vocab_size", rows);
    ModelSpec.require(
        used > 0 && used <= rows, "used vocabulary " + used + " is not within 1.." + rows);
    ends = List.copyOf(ends);
  }

  /** Describes a vocabulary whose texts end where documents do. */
  public Vocabulary(int rows, int used, int endOfText) {
    this(rows, used, endOfText, endOfText < 0 ? List.of() : List.of(endOfText));
  }

  /** Describes a vocabulary without padding. */
  public static Vocabulary of(int rows, int endOfText) {
    return new Vocabulary(rows, rows, endOfText);
  }

  /**
   * Returns the same vocabulary with other ids that end a text. The first one becomes the end of a
   * document where there is none.
   */
  public Vocabulary withEnds(List<Integer> ends) {
    int end = endOfText < 0 && !ends.isEmpty() ? ends.getFirst() : endOfText;
    return new Vocabulary(rows, used, end, ends);
  }
}
