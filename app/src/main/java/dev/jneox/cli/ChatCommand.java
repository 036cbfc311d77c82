package dev.jneox.cli;

import dev.jneox.template.ChatPrompt;
import picocli.CommandLine.Command;

/** {@code jneox chat}: questions and answers, by the model's template or as a transcript. */
@Command(
    name = "chat",
    sortOptions = false,
    description = {
      "Talk with a model.",
      "A model that came with a chat template gets the conversation written by it; where the"
          + " context is too short, without its oldest turns.",
      "For a model without one, your lines and its own make a transcript, \"User: ..\" and"
          + " \"Assistant: ..\", which it continues until it would write your part: a base model"
          + " plays the part as well as it has read of such talks. complete continues any text.",
      "A server (--server) writes the conversation by its model's own template.",
      "Keys and commands are those of complete, see jneox complete --help."
    },
    footer = {
      "",
      "Examples:",
      "  jneox chat --model DIR",
      "  jneox chat --server http://127.0.0.1:8080"
    })
final class ChatCommand extends ReplCommand {
  @Override
  Conversation conversation(ChatPrompt prompt) {
    return Conversation.chat(prompt);
  }

  @Override
  Repl.Words words(boolean hasTemplate) {
    return hasTemplate
        ? new Repl.Words("a chat model; its own template writes the conversation", "User> ")
        : new Repl.Words(
            "a base model, asked nothing in its training; it continues a transcript of User and"
                + " Assistant",
            "base model, User> ");
  }

  @Override
  Repl.Words wordsOfServer() {
    return new Repl.Words("the server writes the conversation by its model's template", "User> ");
  }
}
