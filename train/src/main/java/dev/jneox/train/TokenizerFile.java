package dev.jneox.train;

import dev.jneox.tokenizer.TokenizerJson;
import java.nio.file.Path;
import java.util.Optional;

/**
 * Holds a {@code tokenizer.json} for every checkpoint of a run, read at its start: the file may go
 * or change while the run is on.
 *
 * @param path where it was read from, for messages
 */
record TokenizerFile(Path path, String json) {
  /**
   * Reads it, or builds it of GPT-2's files.
   *
   * @param merges those of a {@code vocab.json}, if given
   */
  static TokenizerFile read(Path path, Optional<Path> merges) {
    return new TokenizerFile(path, TokenizerJson.read(path, merges));
  }
}
