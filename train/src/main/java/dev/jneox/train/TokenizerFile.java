package dev.jneox.train;

import dev.jneox.format.hf.HfFolder;
import java.nio.file.Path;

/**
 * Holds a {@code tokenizer.json} for every checkpoint of a run, read at its start: the file may go
 * or change while the run is on.
 *
 * @param path where it was read from, for messages
 */
record TokenizerFile(Path path, String json) {
  static TokenizerFile read(Path path) {
    return new TokenizerFile(path, HfFolder.text(path));
  }
}
