package dev.jneox.tokenizer;

/**
 * Is a part of a text on its way to the model: {@code text[from, to)}, never empty.
 *
 * @param first whether it may come from the start of the document
 * @param leading if {@code first}, the units of {@code text} before this index come from the start
 *     of the document
 */
record Piece(String text, int from, int to, boolean first, int leading) {
  static Piece of(String text, boolean first, int leading) {
    return new Piece(text, 0, text.length(), first, leading);
  }

  /** Returns a part of it. */
  Piece part(int start, int end) {
    return new Piece(text, start, end, first && start < leading, leading);
  }

  String string() {
    return text.substring(from, to);
  }
}
