package dev.jneox.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jneox.infer.LanguageModel;
import dev.jneox.infer.Precision;
import dev.jneox.infer.Sampler;
import dev.jneox.template.ChatPrompt;
import dev.jneox.tokenizer.BpeTrainer;
import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.PipedInputStream;
import java.io.PipedOutputStream;
import java.io.PrintWriter;
import java.io.StringReader;
import java.io.StringWriter;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.jline.terminal.Terminal;
import org.jline.terminal.TerminalBuilder;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** {@code complete} and {@code chat} over a model of random weights. */
@Timeout(60)
class ReplTest {
  private static final Path FIXTURE =
      Path.of("..", "core", "src", "test", "resources", "parity", "neox-parallel");

  @TempDir static Path dir;
  private static Path model;

  @BeforeAll
  static void make() throws IOException {
    model = Files.createDirectory(dir.resolve("model"));
    for (String file : List.of("config.json", "model.safetensors")) {
      Files.copy(FIXTURE.resolve(file), model.resolve(file));
    }
    BpeTrainer trainer = new BpeTrainer(300);
    trainer.count(List.of("int max(int a, int b) { return a > b ? a : b; }").iterator());
    trainer.train(merges -> {}).write(model.resolve("tokenizer.json"));
  }

  @ParameterizedTest
  @CsvSource({
    "'a', false, 'a'",
    "'a\\', true, 'a\\'",
    "'a\\\nb', false, 'a\nb'",
    "'a\\\\', false, 'a\\\\'",
    "'\"\"\"a', true, 'a'",
    "'\"\"\"a\nb\"\"\"', false, 'a\nb'",
    "'\"\"\"a\nb\"\"\" ', false, 'a\nb '",
  })
  void anInputMayHaveSeveralLines(String input, boolean open, String text) {
    assertThat(Repl.isOpen(input)).isEqualTo(open);
    assertThat(Repl.unquoted(input)).isEqualTo(text);
  }

  @Test
  void aConversationIsItsTurnsOneAfterTheOther() {
    Conversation text = Conversation.continued();
    text.add("int ");
    text.answer("max(");
    text.add("int a");
    assertThat(text.text()).isEqualTo("int max(int a");
    assertThat(text.undo()).isTrue();
    assertThat(text.text()).isEqualTo("int max(");
    text.clear();
    assertThat(text.undo()).isFalse();

    Conversation talk = Conversation.chat(ChatPrompt.TRANSCRIPT);
    talk.add("Hi");
    assertThat(talk.text()).isEqualTo("User: Hi\nAssistant:");
    assertThat(talk.begun(" Hello.")).isEqualTo("Hello.");
    talk.answer("Hello.");
    talk.add("Bye");
    assertThat(talk.text()).isEqualTo("User: Hi\nAssistant: Hello.\nUser: Bye\nAssistant:");
  }

  /** A copy of the model with a chat template. */
  private static Path withTemplate() throws IOException {
    Path chat = Files.createDirectory(dir.resolve("chat"));
    try (Stream<Path> files = Files.list(model)) {
      for (Path file : files.toList()) {
        Files.copy(file, chat.resolve(file.getFileName()));
      }
    }
    Files.writeString(
        chat.resolve("chat_template.jinja"),
        "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"
            + "{% if add_generation_prompt %}<assistant>{% endif %}");
    return chat;
  }

  private static String chatted(Path folder, String command, String input) {
    InputStream before = System.in;
    try {
      System.setIn(new ByteArrayInputStream(input.getBytes(StandardCharsets.UTF_8)));
      Output output =
          Output.of(
              command, "--model", folder.toString(), "--max-tokens", "5", "--temperature", "0");
      assertThat(output.code()).as(output.err()).isZero();
      return output.out();
    } finally {
      System.setIn(before);
    }
  }

  @Test
  void aChatIsWrittenByTheModelsTemplate() throws IOException {
    Path chat = withTemplate();
    String first = chatted(chat, "chat", "int\n");
    assertThat(first).isEqualTo(chatted(chat, "complete", "<user>int<assistant>\n"));
    assertThat(first).isNotEqualTo(chatted(model, "chat", "int\n"));
    String answer = first.substring(0, first.length() - 1);
    assertThat(chatted(chat, "chat", "int\nb\n"))
        .isEqualTo(
            first
                + chatted(
                    chat,
                    "complete",
                    "\"\"\"<user>int<assistant>" + answer + "<user>b<assistant>\"\"\"\n"));
    try (LanguageModel loaded = LanguageModel.open(chat, Precision.STORED)) {
      assertThat(new ChatCommand().words(loaded.chatTemplates().isPresent()).introduction())
          .contains("its own template");
    }
  }

  @Test
  void aChatBeyondTheContextLosesItsOldestTurnsWhole() throws IOException {
    try (LanguageModel loaded = LanguageModel.open(model, Precision.STORED)) {
      Conversation talk = Conversation.chat(ChatPrompt.TRANSCRIPT);
      for (int i = 0; i < 9; i++) {
        talk.add("int " + i);
        talk.answer("a");
      }
      talk.add("int b");
      List<String> notes = new ArrayList<>();
      LocalModel writer = new LocalModel(loaded, Sampler.GREEDY, 6);
      String cut;
      try (ReplModel.TurnStream stream = writer.start(talk, 0, notes::add)) {
        cut = all(stream);
      }
      assertThat(notes).hasSize(1);
      int room = loaded.spec().maxPositions() - 6 + 1; // the last token of an answer is not read
      int first = 0;
      while (loaded.tokenizer().encode(talk.text(first)).length > room) {
        first++;
      }
      assertThat(first).isBetween(1, 8);
      Conversation rest = Conversation.chat(ChatPrompt.TRANSCRIPT);
      rest.restore(talk.turns().subList(first, talk.turns().size()));
      assertThat(rest.text()).startsWith("User: int " + first + "\n");
      try (ReplModel.TurnStream stream =
          new LocalModel(loaded, Sampler.GREEDY, 6).start(rest, 0, notes::add)) {
        assertThat(all(stream)).isEqualTo(cut);
      }
      assertThat(notes).hasSize(1);
    }
  }

  @Test
  void theEndOfAnAnswerIsNothingToTellInAChat() throws IOException {
    try (LanguageModel loaded = LanguageModel.open(model, Precision.STORED)) {
      int end = loaded.spec().vocabulary().endOfText();
      Sampler ending = Sampler.GREEDY.withLogitBias(Map.of(end, 100.0));
      for (Conversation conversation :
          List.of(Conversation.continued(), Conversation.chat(ChatPrompt.TRANSCRIPT))) {
        StringWriter out = new StringWriter();
        new Repl(new LocalModel(loaded, ending, 6), conversation)
            .turn("int", new PrintWriter(out), true);
        assertThat(out.toString().contains("the model ended the text"))
            .isEqualTo(conversation.goesOn());
      }
    }
  }

  private static String all(ReplModel.TurnStream stream) {
    StringBuilder text = new StringBuilder();
    while (stream.hasNext()) {
      text.append(stream.next());
    }
    return text.toString();
  }

  private static String piped(LanguageModel loaded, String input) throws IOException {
    StringWriter out = new StringWriter();
    new Repl(new LocalModel(loaded, Sampler.GREEDY, 6), Conversation.continued())
        .run(new BufferedReader(new StringReader(input)), new PrintWriter(out));
    return out.toString();
  }

  /** The context of the model is 64 tokens. */
  @Test
  void aPipeGetsWhatTheModelWrites() throws IOException {
    try (LanguageModel loaded = LanguageModel.open(model, Precision.STORED)) {
      String first = piped(loaded, "int max\n");
      assertThat(piped(loaded, "int max\n/exit\nint")).isEqualTo(first);
      assertThat(piped(loaded, "int max\n/undo\nint max\n")).isEqualTo(first + first);
      assertThat(piped(loaded, "int max\n/new\nint max\n")).isEqualTo(first + first);
      assertThat(piped(loaded, "int \\\nmax")).isEqualTo(piped(loaded, "\"\"\"int \nmax\"\"\""));
      assertThat(piped(loaded, "\n\n/undo")).isEqualTo("There is nothing to take back.\n");
      String twice = piped(loaded, "int max\n\n");
      assertThat(twice).startsWith(first).hasSizeGreaterThan(first.length());
      assertThat(piped(loaded, "int max(int a, int b)\n".repeat(9)).lines().count())
          .as("far beyond the context")
          .isGreaterThanOrEqualTo(9);
    }
  }

  /** A terminal in memory, with the line discipline of a real one. */
  private static final class Screen implements AutoCloseable {
    final PipedOutputStream keys = new PipedOutputStream();
    final ByteArrayOutputStream shown = new ByteArrayOutputStream();
    final Terminal terminal;

    Screen() throws IOException {
      terminal =
          TerminalBuilder.builder()
              .system(false)
              .type("dumb")
              .encoding(StandardCharsets.UTF_8)
              .streams(new PipedInputStream(keys), shown)
              .build();
    }

    void type(String text) throws IOException {
      keys.write(text.getBytes(StandardCharsets.UTF_8));
      keys.flush();
    }

    String text() {
      return shown.toString(StandardCharsets.UTF_8);
    }

    void await(String text) throws InterruptedException {
      while (!text().contains(text)) {
        Thread.sleep(5);
      }
    }

    /** Types Ctrl-D until the program ends. The terminal may drop input between two prompts. */
    void leave(Thread program) throws IOException, InterruptedException {
      while (program.isAlive()) {
        type("\u0004");
        program.join(200);
      }
    }

    @Override
    public void close() throws IOException {
      terminal.close();
    }
  }

  @Test
  void ctrlCStopsTheTextAndCtrlDLeaves() throws IOException, InterruptedException {
    Path history = dir.resolve("history");
    try (LanguageModel loaded = LanguageModel.open(model, Precision.STORED);
        Screen screen = new Screen()) {
      Repl repl = new Repl(new LocalModel(loaded, Sampler.GREEDY, 6), Conversation.continued());
      Thread running =
          Thread.ofPlatform()
              .start(
                  () ->
                      repl.run(
                          screen.terminal,
                          Optional.of(history),
                          "it continues what you write",
                          new Repl.Words("", "continue> ")));
      screen.await("it continues what you write.");
      screen.await("continue> ");
      screen.type("dropped\u0003"); // Ctrl-C before Enter: the line goes, the program stays
      Thread.sleep(100);
      screen.type("int max\n");
      screen.await("[6 tokens; Enter goes on]");
      screen.type("/help\n");
      screen.await("Ctrl-D, /exit");
      screen.leave(running);
      assertThat(screen.text()).doesNotContain("jneox: ");
    }
    assertThat(history).content().contains("int max").doesNotContain("dropped");
  }

  /** Stops itself after its first piece, as a signal would from another thread. */
  @Test
  void aTextThatIsStoppedIsKeptAsFarAsItCame() throws IOException {
    try (LanguageModel loaded = LanguageModel.open(model, Precision.STORED);
        Screen screen = new Screen()) {
      PrintWriter stopping =
          new PrintWriter(new StringWriter()) {
            private int pieces;

            @Override
            public void print(String text) {
              super.print(text);
              if (++pieces == 2) {
                screen.terminal.raise(Terminal.Signal.INT);
              }
            }
          };
      Conversation conversation = Conversation.continued();
      Repl repl = new Repl(new LocalModel(loaded, Sampler.GREEDY, 30), conversation);
      repl.listen(screen.terminal);
      repl.turn("int max", stopping, true);
      int length = conversation.text().length();
      repl.turn("/undo", stopping, true);
      repl.turn("int max", new PrintWriter(new StringWriter()), true);
      assertThat(length).isLessThan(conversation.text().length());
    }
  }

  @Test
  void aPersonHearsWhatACommandDidAndThatThereIsNoSuchOne() throws IOException {
    try (LanguageModel loaded = LanguageModel.open(model, Precision.STORED)) {
      Repl repl = new Repl(new LocalModel(loaded, Sampler.GREEDY, 4), Conversation.continued());
      StringWriter screen = new StringWriter();
      PrintWriter out = new PrintWriter(screen);
      repl.turn("/reset", out, true);
      repl.turn("int max", new PrintWriter(new StringWriter()), true);
      repl.turn("/undo", out, true);
      repl.turn("/undo", out, true);
      repl.turn("/new", out, true);
      assertThat(screen.toString().lines())
          .containsExactly(
              "[no such command: /reset; /help lists them, a space before it is text]",
              "[took back the last turn]",
              "There is nothing to take back.",
              "[another text]");
      assertThat(piped(loaded, "/reset")).isNotEmpty().doesNotContain("no such command");
    }
  }

  @Test
  void theCommandsReadAPipeAndRefuseAModelWithoutATokenizer() {
    InputStream before = System.in;
    try {
      System.setIn(new ByteArrayInputStream("int max\n".getBytes(StandardCharsets.UTF_8)));
      Output complete =
          Output.of("complete", "--model", model.toString(), "--max-tokens", "5", "--seed", "3");
      assertThat(complete.code()).as(complete.err()).isZero();
      assertThat(complete.out()).isNotEmpty();
      System.setIn(new ByteArrayInputStream("hi\n".getBytes(StandardCharsets.UTF_8)));
      Output chat = Output.of("chat", "--model", model.toString(), "--max-tokens", "5");
      assertThat(chat.code()).as(chat.err()).isZero();
    } finally {
      System.setIn(before);
    }
    Output none = Output.of("complete", "--model", FIXTURE.toString());
    assertThat(none.code()).isEqualTo(1);
    assertThat(none.err()).contains("expected a tokenizer.json");
    assertThat(Output.of("chat", "--model", model.toString(), "--temperature", "-1").code())
        .isEqualTo(2);
  }

  /** A copy of the model in which every weight is NaN. */
  private static Path broken() throws IOException {
    Path broken = Files.createDirectory(dir.resolve("broken"));
    for (String file : List.of("config.json", "tokenizer.json")) {
      Files.copy(model.resolve(file), broken.resolve(file));
    }
    byte[] weights = Files.readAllBytes(model.resolve("model.safetensors"));
    int header = 8 + ByteBuffer.wrap(weights).order(ByteOrder.LITTLE_ENDIAN).getInt();
    Arrays.fill(weights, header, weights.length, (byte) 0xff);
    Files.write(broken.resolve("model.safetensors"), weights);
    return broken;
  }

  @Test
  void aFailureIsNoTextOfTheModel() throws IOException {
    InputStream before = System.in;
    try {
      System.setIn(new ByteArrayInputStream("int max\n".getBytes(StandardCharsets.UTF_8)));
      Output output = Output.of("complete", "--model", broken().toString());
      assertThat(output.code()).isEqualTo(1);
      assertThat(output.out()).isEmpty();
      assertThat(output.err()).startsWith("jneox: ").contains("NaN").hasLineCount(1);
    } finally {
      System.setIn(before);
    }
  }

  /** Earlier inputs are a convenience: a file of them that is broken must not end every session. */
  @ParameterizedTest
  @CsvSource({
    "folder, it is no file",
    "bytes, it has bytes that are not text in its encoding",
    "/dev/zero, it is no file",
  })
  void aBrokenHistoryIsToldAndLeft(String kind, String reason)
      throws IOException, InterruptedException {
    Path history = dir.resolve("history-" + kind.replace('/', '-'));
    byte[] bytes = {(byte) 0xff, 'a', '\n'};
    switch (kind) {
      case "folder" -> Files.createDirectory(history);
      case "bytes" -> Files.write(history, bytes);
      default -> Files.createSymbolicLink(history, Path.of(kind));
    }
    try (LanguageModel loaded = LanguageModel.open(model, Precision.STORED);
        Screen screen = new Screen()) {
      Repl repl = new Repl(new LocalModel(loaded, Sampler.GREEDY, 6), Conversation.continued());
      Thread running =
          Thread.ofPlatform()
              .start(
                  () ->
                      repl.run(
                          screen.terminal,
                          Optional.of(history),
                          "",
                          new Repl.Words("", "continue> ")));
      screen.type("int max\n");
      screen.await("[6 tokens; Enter goes on]");
      screen.leave(running);
      assertThat(screen.text()).contains("Earlier lines cannot be read", history + ": " + reason);
    }
    if (kind.equals("bytes")) {
      assertThat(history).hasBinaryContent(bytes);
    }
  }
}
