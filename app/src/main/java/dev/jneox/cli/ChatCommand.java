package dev.jneox.cli;

import picocli.CommandLine.Command;

/** {@code jneox chat}: questions and answers as a transcript that a model continues. */
@Command(
    name = "chat",
    sortOptions = false,
    modelTransformer = ModelOptions.Optionally.class,
    description = {
      "Talk with a model.",
      "Your lines and its own make a transcript, \"User: ..\" and \"Assistant: ..\", which it"
          + " continues until it would write your part.",
      "Templates that chat models were trained with are not applied yet, and a base model has none:"
          + " it plays the part as well as it has read of such talks. complete continues any text."
          + " A server (--server) writes the conversation by its model's own template.",
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
  Conversation conversation() {
    return Conversation.transcript();
  }

  @Override
  Repl.Words words(boolean hasTemplate) {
    return hasTemplate
        ? new Repl.Words(
            "a chat model, whose template is not applied yet; it continues a transcript of User and"
                + " Assistant",
            "User> ")
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
