package dev.jneox.cli;

import com.fasterxml.jackson.databind.JsonNode;
import dev.jneox.io.InputException;
import dev.jneox.tokenizer.PipelineTokenizer;
import dev.jneox.tokenizer.Tokenizer;
import java.nio.file.Path;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code jneox tokenizer encode}: JSON lines with text in, with ids out. */
@Command(
    name = "encode",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Turn JSON lines {\"text\": \"..\"} on standard input into lines {\"ids\": [..], \"decoded\":"
          + " \"..\"} on standard output.",
      "Added tokens in the text, as <|endoftext|>, become their ids; nothing is put before or"
          + " after."
    },
    footer = {
      "",
      "Example:",
      "  echo '{\"text\": \"Hello world!\"}' | jneox tokenizer encode --tokenizer tokenizer.json"
    })
final class TokenizerEncodeCommand implements Runnable {
  @Option(
      names = "--tokenizer",
      required = true,
      paramLabel = "FILE",
      description = "A tokenizer.json, or GPT-2's vocab.json with merges.txt beside it.")
  private Path tokenizer;

  @Option(
      names = "--reference",
      description = "Use the general tokenizer even where the fast one knows the file.")
  private boolean reference;

  /** What is printed for a line. */
  private record Encoded(int[] ids, String decoded) {}

  @Override
  public void run() {
    try (Tokenizer loaded =
        reference ? PipelineTokenizer.load(tokenizer) : Tokenizer.load(tokenizer)) {
      JsonLines.filter(
          line -> {
            JsonNode text = line.path("text");
            if (!text.isTextual()) {
              throw new InputException(
                  "key text: expected a string, found " + JsonLines.describe(text));
            }
            int[] ids = loaded.encode(text.textValue());
            return new Encoded(ids, loaded.decode(ids));
          });
    }
  }
}
