package dev.jneox.tokenizer;

import java.nio.file.Path;
import java.util.OptionalInt;

/** Converts text to token ids and back. Implementations are thread-safe. */
public interface Tokenizer extends AutoCloseable {
  /**
   * Returns the ids of {@code text}. Recognises added tokens that the text contains literally, and
   * adds none before or after.
   */
  int[] encode(String text);

  /**
   * Returns a number of ids that no text of {@code length} UTF-16 units has less than. It is for
   * refusing texts that are far too long without encoding them.
   *
   * @return 0 where a few ids may be any text
   */
  default long leastIds(int length) {
    return 0;
  }

  /**
   * Returns the text of {@code ids}, special tokens included. Bytes that are not UTF-8 become
   * U+FFFD; ids without a token become nothing.
   */
  String decode(int[] ids);

  /**
   * Returns one more than the largest id, added tokens included. The padded vocabulary of a model
   * may be larger.
   */
  int vocabSize();

  /**
   * Returns the id of a token by its written form in {@code tokenizer.json}, for example {@code
   * <|endoftext|>}.
   */
  OptionalInt id(String token);

  /**
   * Returns the bytes that a token of the vocabulary adds to a text. Those of all tokens in turn
   * are the UTF-8 of {@link #decode}, if they are well formed together.
   *
   * @param first whether it is the first token of the text, of which decoders drop a leading space
   * @return empty for an added token, which is no text, and for an id without a token
   * @throws dev.jneox.io.InputException where a token's text depends on others than these
   */
  byte[] bytes(int id, boolean first);

  @Override
  void close();

  /**
   * Loads a local {@code tokenizer.json}, or the {@code vocab.json} of GPT-2 with the merges beside
   * it ({@link TokenizerJson}). Those of the GPT family are run by the fast {@link ByteLevelBpe},
   * others by a {@link PipelineTokenizer}.
   *
   * @throws dev.jneox.io.InputException when the file is missing, truncated or not a tokenizer
   */
  static Tokenizer load(Path tokenizerJson) {
    return of(TokenizerFile.read(tokenizerJson));
  }

  /**
   * Loads the text of a {@code tokenizer.json} that came with a model; errors name {@code source}.
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
