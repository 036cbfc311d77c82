package dev.jneox.cli;

import picocli.CommandLine.Command;

/** {@code jneox tokenizer}: text to token ids and back, and the learning of a vocabulary. */
@Command(
    name = "tokenizer",
    mixinStandardHelpOptions = true,
    description = "Learn a vocabulary, turn text into token ids and ids into text.",
    subcommands = {
      TokenizerTrainCommand.class,
      TokenizerEncodeCommand.class,
      TokenizerDecodeCommand.class
    },
    footer = {
      "",
      "Example:",
      "  jneox tokenizer train --vocab-size 8192 --out tokenizer.json src.jar texts/",
      "  echo '{\"text\": \"Hello\"}' | jneox tokenizer encode --tokenizer tokenizer.json"
    })
public final class TokenizerCommand {}
