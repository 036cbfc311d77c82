package dev.jneox.cli;

import dev.jneox.template.ChatPrompt;
import picocli.CommandLine.Command;

/** {@code jneox complete}: a text written in turns with a model. */
@Command(
    name = "complete",
    sortOptions = false,
    description = {
      "Write a text together with a model: it continues what you type, and you what it writes.",
      "Ctrl-C stops the model's text, Ctrl-D leaves, arrow keys bring back earlier lines. A line"
          + " that ends in a backslash goes on in the next, and so does one that begins with \"\"\""
          + " up to another \"\"\". An empty line lets the model write on. /new begins another"
          + " text, /undo takes back the last turn."
    },
    footer = {
      "",
      "From a pipe every line is a turn, and the output has what the model wrote.",
      "",
      "Examples:",
      "  jneox complete --model DIR --temperature 0.7",
      "with a model of a server, which asks for a key:",
      "  JNEOX_API_KEY=secret jneox complete --server https://HOST:PORT --model NAME"
    })
final class CompleteCommand extends ReplCommand {
  @Override
  Conversation conversation(ChatPrompt prompt) {
    return Conversation.continued();
  }

  @Override
  Repl.Words words(boolean hasTemplate) {
    return new Repl.Words("it continues what you write, it does not answer", "continue> ");
  }

  @Override
  Repl.Words wordsOfServer() {
    return words(false);
  }
}
