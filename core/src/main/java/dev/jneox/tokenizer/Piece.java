package dev.jneox.tokenizer;

/**
 * A part of a text on its way to the model: {@code text[from, to)}, never empty.
 *
 * @param first whether it may stand for the start of the document at all
 * @param leading the units of {@code text} before this place stand for the start of the document,
 *     if {@code first}
 */
record Piece(String text, int from, int to, boolean first, int leading) {
  static Piece of(String text, boolean first, int leading) {
    return new Piece(text, 0, text.length(), first, leading);
  }

  /** A part of it; whether it begins where the document does is known from its first character. */
  Piece part(int start, int end) {
    return new Piece(text, start, end, first && start < leading, leading);
  }

  String string() {
    return text.substring(from, to);
  }
}
