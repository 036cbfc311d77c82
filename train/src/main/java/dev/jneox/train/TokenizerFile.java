package dev.jneox.train;

import dev.jneox.tokenizer.TokenizerJson;
import java.nio.file.Path;
import java.util.Optional;

/**
 * Holds the {@code tokenizer.json} that is written into every checkpoint. It is read once, at the
 * start of the run, because the file may be changed or deleted during the run.
 *
 * @param path of the file, for messages
 * @param json its text
 */
record TokenizerFile(Path path, String json) {
  /**
   * Reads a {@code tokenizer.json}, or makes one from the files of a GPT-2 tokenizer.
   *
   * @param path of {@code tokenizer.json} or {@code vocab.json}
   * @param merges {@code merges.txt} that belongs to a {@code vocab.json}
   */
  static TokenizerFile read(Path path, Optional<Path> merges) {
    return new TokenizerFile(path, TokenizerJson.read(path, merges));
  }
}
