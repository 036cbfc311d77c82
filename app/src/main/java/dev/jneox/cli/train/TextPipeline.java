package dev.jneox.cli.train;

import dev.jneox.cli.ProgressLine;
import dev.jneox.data.LearnedVocabulary;
import dev.jneox.data.Prepare;
import dev.jneox.io.Progress;
import dev.jneox.io.VisibleText;
import dev.jneox.tokenizer.Tokenizer;
import dev.jneox.tokenizer.TrainedBpe;
import java.nio.file.Path;
import java.util.List;

/** Makes a vocabulary and data from texts, for the commands that begin with texts. */
final class TextPipeline {
  private TextPipeline() {}

  /** Learns a vocabulary of at most {@code size} tokens and writes it to {@code file}. */
  static TrainedBpe vocabulary(List<Path> texts, int size, Path file) {
    TrainedBpe trained =
        LearnedVocabulary.of(
                texts,
                size,
                true,
                bytes -> ProgressLine.bytes("counting words", bytes),
                merges -> ProgressLine.of("merging pairs", "merges", merges))
            .bpe();
    trained.write(file);
    return trained;
  }

  /** Tokenises a file into {@code prefix.bin} and {@code prefix.idx}. */
  static Prepare.Result data(Path text, Tokenizer tokenizer, Path prefix, String name) {
    try (Progress progress = ProgressLine.bytes(name, -1)) {
      return Prepare.run(List.of(text), tokenizer, prefix, Prepare.Options.defaults(), progress);
    }
  }

  /** Writes a path as a value of YAML, in one line. */
  static String quoted(Path path) {
    String text = path.toString();
    return VisibleText.of(text).equals(text)
        ? "'" + text.replace("'", "''") + "'"
        : '"' + VisibleText.of(text.replace("\\", "\\\\").replace("\"", "\\\"")) + '"';
  }
}
