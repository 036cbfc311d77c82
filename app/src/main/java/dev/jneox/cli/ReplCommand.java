package dev.jneox.cli;

import dev.jneox.infer.GenerationRequest;
import dev.jneox.infer.LanguageModel;
import dev.jneox.infer.Sampler;
import dev.jneox.io.StorageException;
import dev.jneox.io.TargetLock;
import dev.jneox.template.ChatPrompt;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintWriter;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.jline.terminal.Terminal;
import org.jline.terminal.TerminalBuilder;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** What {@code complete} and {@code chat} have in common: a model, and a {@link Repl} with it. */
abstract class ReplCommand implements Runnable {
  @Spec private CommandSpec spec;

  @Mixin private ModelOptions model;

  @Option(
      names = "--server",
      paramLabel = "URL",
      description =
          "Have a server of OpenAI's API write, such as jneox serve, llama.cpp or vLLM:"
              + " http://HOST:PORT, or https. --model is then one of the server's names; it may be"
              + " left out where there is one.")
  private String server;

  @Option(
      names = "--api-key",
      paramLabel = "KEY",
      description =
          "The key that --server asks for. Default: the environment variable JNEOX_API_KEY, else"
              + " OPENAI_API_KEY.")
  private String apiKey;

  @Option(
      names = "--max-tokens",
      paramLabel = "N",
      defaultValue = "200",
      description = "Most tokens to write at a time. Default: ${DEFAULT-VALUE}.")
  private int maxTokens;

  @Option(
      names = "--temperature",
      paramLabel = "T",
      defaultValue = "0.8",
      description =
          "0 takes the likeliest token each time, 1 draws as the model says. Default:"
              + " ${DEFAULT-VALUE}.")
  private double temperature;

  @Option(
      names = "--top-k",
      paramLabel = "K",
      defaultValue = "0",
      description = "Draw from the K likeliest tokens only. Default: ${DEFAULT-VALUE}, all.")
  private int topK;

  @Option(
      names = "--top-p",
      paramLabel = "P",
      defaultValue = "0.95",
      description =
          "Draw from the likeliest tokens that together pass this probability. Default:"
              + " ${DEFAULT-VALUE}.")
  private double topP;

  @Option(
      names = "--repetition-penalty",
      paramLabel = "F",
      defaultValue = "1",
      description =
          "Above 1, tokens that are in the text already become less likely. Default:"
              + " ${DEFAULT-VALUE}, none.")
  private double repetitionPenalty;

  @Option(
      names = "--seed",
      paramLabel = "N",
      defaultValue = "1234",
      description =
          "The same seed and the same input write the same texts. Default: ${DEFAULT-VALUE}.")
  private long seed;

  @Option(
      names = "--session",
      paramLabel = "FILE",
      description =
          "Go on from what this file has of an earlier time, if it is there, and save text, keys"
              + " and values to it at the end: what was read once is not computed again.")
  private Path session;

  @Option(
      names = {"-h", "--help"},
      usageHelp = true,
      description = "Show this help.")
  private boolean help;

  /** A conversation at its beginning, with a model that has this way of writing chats. */
  abstract Conversation conversation(ChatPrompt prompt);

  /** What to tell of the way that the model is used, and the prompt. */
  abstract Repl.Words words(boolean hasTemplate);

  /** The same, where a server writes. */
  abstract Repl.Words wordsOfServer();

  @Override
  public void run() {
    Usage.require(spec, maxTokens >= 1, "--max-tokens", "1 or more", maxTokens);
    Sampler sampler =
        Usage.of(
            spec,
            () ->
                Sampler.GREEDY
                    .withTemperature(temperature)
                    .withTopK(topK)
                    .withTopP(topP)
                    .withRepetitionPenalty(repetitionPenalty)
                    .withSeed(seed));
    GenerationRequest.builder(0).sampler(sampler).maxTokens(maxTokens).build(); // checks them
    if (server != null) {
      talkToServer(sampler);
      return;
    }
    refuse("--api-key", "is for --server alone");
    if (model.model() == null && OwnModel.path().isEmpty()) {
      throw new ParameterException(
          spec.commandLine(), "expected --model MODEL, or --server URL, found none");
    }
    try (LanguageModel loaded = model.open()) {
      loaded.tokenizer(); // said now, not at the first text
      LocalModel writer = new LocalModel(loaded, sampler, maxTokens);
      String name = String.valueOf(model.path());
      Repl.Words words = words(loaded.chatTemplates().isPresent());
      Conversation conversation = conversation(ChatPrompt.of(loaded.chatTemplates()));
      if (session == null) {
        talk(new Repl(writer, conversation), name, words);
        return;
      }
      try (TargetLock _ = TargetLock.take(session)) { // a second one would lose what this one saves
        long written = 0;
        if (Files.exists(session)) {
          ReplSession before = ReplSession.parse(writer.restore(session), spec.name(), session);
          conversation.restore(before.turns());
          written = before.written();
        }
        Repl repl = new Repl(writer, conversation, written);
        talk(repl, name, words);
        writer.save(
            session,
            conversation,
            new ReplSession(spec.name(), repl.turns(), conversation.turns()).json());
      }
    }
  }

  private void talkToServer(Sampler sampler) {
    refuse("--dtype", "is the server's to choose, and has no meaning with --server");
    refuse("--cache", "is the server's to choose, and has no meaning with --server");
    refuse("--session", "keeps keys and values of this process, and has no meaning with --server");
    URI base = Usage.of(spec, () -> ServerModel.base(server));
    String wanted = model.model() == null ? "" : model.model();
    try (ServerModel remote = new ServerModel(base, key(), wanted, sampler, maxTokens)) {
      talk(
          new Repl(remote, conversation(ChatPrompt.TRANSCRIPT)),
          remote.model() + " at " + base,
          wordsOfServer());
    }
  }

  private void refuse(String option, String why) {
    if (spec.commandLine().getParseResult().hasMatchedOption(option)) {
      throw new ParameterException(spec.commandLine(), option + ": " + why);
    }
  }

  private String key() {
    String key =
        Stream.of(apiKey, System.getenv("JNEOX_API_KEY"), System.getenv("OPENAI_API_KEY"))
            .filter(value -> value != null && !value.isBlank())
            .findFirst()
            .orElse("")
            .strip();
    if (!key.chars().allMatch(c -> c > ' ' && c < 0x7f)) {
      throw new ParameterException(
          spec.commandLine(),
          "--api-key: expected letters, digits and signs of ASCII, found other characters");
    }
    return key;
  }

  private void talk(Repl repl, String name, Repl.Words words) {
    if (System.console() == null || !System.console().isTerminal()) {
      plain(repl);
      return;
    }
    try (Terminal terminal = TerminalBuilder.builder().system(true).nativeSignals(true).build()) {
      repl.run(terminal, Repl.historyFile(), name + ": " + words.introduction(), words);
    } catch (IOException e) {
      throw StorageException.ofStream("the terminal", "cannot be used", e);
    }
  }

  /** Standard input without a terminal: a text a line, and nothing but the model's on output. */
  private void plain(Repl repl) {
    PrintWriter out = spec.commandLine().getOut();
    try {
      repl.run(new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8)), out);
    } catch (IOException e) {
      throw StorageException.ofStream("standard input", "cannot be read", e);
    }
  }
}
