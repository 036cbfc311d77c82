package dev.jneox.tokenizer;

import java.util.OptionalInt;

/** Text to token ids and back. Implementations are safe for use by several threads at once. */
public interface Tokenizer extends AutoCloseable {
  /** The ids of {@code text}; added tokens that occur in it literally are recognised, nothing is put before or after. */
  int[] encode(String text);

  /** The text of {@code ids}; bytes that are not valid UTF-8 become U+FFFD. */
  String decode(int[] ids);

  /** One more than the largest id, added tokens included; the padded vocabulary of a model may be larger. */
  int vocabSize();

  /** The id of a token by its written form in {@code tokenizer.json}, for example {@code <|endoftext|>}. */
  OptionalInt id(String token);

  @Override
  void close();
}
