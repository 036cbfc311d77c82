package dev.jneox.cli;

import com.fasterxml.jackson.databind.JsonNode;
import dev.jneox.io.InputException;
import dev.jneox.tokenizer.PipelineTokenizer;
import dev.jneox.tokenizer.Tokenizer;
import java.io.PrintWriter;
import java.nio.file.Path;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code jneox tokenizer encode}: JSON lines with text in, with ids out. */
@Command(
    name = "encode",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Turn a text, or JSON lines {\"text\": \"..\"} on standard input, into lines {\"ids\": [..],"
          + " \"decoded\": \"..\"} on standard output.",
      "Added tokens in the text, as <|endoftext|>, become their ids; nothing is put before or"
          + " after."
    },
    footer = {
      "",
      "Example:",
      "  jneox tokenizer encode --tokenizer tokenizer.json --text \"Hello world!\"",
      "  jneox tokenizer encode --tokenizer tokenizer.json < texts.jsonl > ids.jsonl"
    })
final class TokenizerEncodeCommand implements Runnable {
  @Spec private CommandSpec spec;

  @Option(
      names = "--tokenizer",
      required = true,
      paramLabel = "FILE",
      description = "A tokenizer.json, or GPT-2's vocab.json beside its merges.txt.")
  private Path tokenizer;

  @Option(
      names = "--text",
      paramLabel = "TEXT",
      description = "Encode this text alone and print one line; - reads it from standard input.")
  private String text;

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
      if (text != null) {
        PrintWriter out = spec.commandLine().getOut();
        out.println(Json.line(encoded(loaded, TextArgument.text("--text", text))));
        out.flush();
        return;
      }
      JsonLines.filter(
          line -> {
            JsonNode field = line.path("text");
            if (!field.isTextual()) {
              throw new InputException(
                  "key text: expected a string, found " + JsonLines.describe(field));
            }
            return encoded(loaded, field.textValue());
          });
    }
  }

  private static Encoded encoded(Tokenizer tokenizer, String text) {
    int[] ids = tokenizer.encode(text);
    return new Encoded(ids, tokenizer.decode(ids));
  }
}
