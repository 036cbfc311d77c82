package dev.jneox.cli;

import com.fasterxml.jackson.databind.JsonNode;
import dev.jneox.io.InputException;
import dev.jneox.tokenizer.Tokenizer;
import java.nio.file.Path;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code jneox tokenizer decode}: JSON lines with ids in, with text out. */
@Command(
    name = "decode",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Turn JSON lines {\"ids\": [..]} on standard input into lines {\"text\": \"..\"} on standard"
          + " output.",
      "Special tokens are written out; bytes that are no UTF-8 become U+FFFD."
    },
    footer = {
      "",
      "Example:",
      "  echo '{\"ids\": [12092, 1533, 2]}' |",
      "    jneox tokenizer decode --tokenizer tokenizer.json"
    })
final class TokenizerDecodeCommand implements Runnable {
  @Option(
      names = "--tokenizer",
      required = true,
      paramLabel = "FILE",
      description = "A tokenizer.json, or GPT-2's vocab.json beside its merges.txt.")
  private Path tokenizer;

  /** What is printed for a line. */
  private record Decoded(String text) {}

  @Override
  public void run() {
    try (Tokenizer loaded = Tokenizer.load(tokenizer)) {
      JsonLines.filter(
          line -> new Decoded(loaded.decode(ids(line.path("ids"), loaded.vocabSize()))));
    }
  }

  private static int[] ids(JsonNode node, int vocabSize) {
    if (!node.isArray()) {
      throw new InputException("key ids: expected an array, found " + JsonLines.describe(node));
    }
    int[] ids = new int[node.size()];
    for (int i = 0; i < ids.length; i++) {
      JsonNode id = node.get(i);
      if (!id.isIntegralNumber()
          || !id.canConvertToInt()
          || id.intValue() < 0
          || id.intValue() >= vocabSize) {
        throw new InputException(
            "key ids, entry "
                + i
                + ": expected an id of the vocabulary, 0 to "
                + (vocabSize - 1)
                + ", found "
                + JsonLines.describe(id));
      }
      ids[i] = id.intValue();
    }
    return ids;
  }
}
