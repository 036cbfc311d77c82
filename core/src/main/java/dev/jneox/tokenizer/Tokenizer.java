package dev.jneox.tokenizer;

import java.nio.file.Path;
import java.util.OptionalInt;

/** Text to token ids and back. Implementations are safe for use by several threads at once. */
public interface Tokenizer extends AutoCloseable {
  /**
   * The ids of {@code text}; added tokens that occur in it literally are recognised, nothing is put
   * before or after.
   */
  int[] encode(String text);

  /**
   * The text of {@code ids}, special tokens written out; what is no UTF-8 becomes U+FFFD, what is
   * no token nothing.
   */
  String decode(int[] ids);

  /**
   * One more than the largest id, added tokens included; the padded vocabulary of a model may be
   * larger.
   */
  int vocabSize();

  /**
   * The id of a token by its written form in {@code tokenizer.json}, for example {@code
   * <|endoftext|>}.
   */
  OptionalInt id(String token);

  @Override
  void close();

  /**
   * Loads a local {@code tokenizer.json}; those of the GPT family take the fast path, {@link
   * ByteLevelBpe}, the others are a {@link PipelineTokenizer}.
   *
   * @throws dev.jneox.io.InputException if the file is missing, cut short or not a tokenizer
   */
  static Tokenizer load(Path tokenizerJson) {
    return of(TokenizerFile.read(tokenizerJson));
  }

  /**
   * The same for the text of a {@code tokenizer.json} that a model brought along; errors name
   * {@code source}.
   */
  static Tokenizer parse(String tokenizerJson, Path source) {
    return of(TokenizerFile.of(source, tokenizerJson));
  }

  private static Tokenizer of(TokenizerFile file) {
    return ByteLevelBpe.of(file)
        .<Tokenizer>map(bpe -> bpe)
        .orElseGet(() -> PipelineTokenizer.of(file));
  }
}
