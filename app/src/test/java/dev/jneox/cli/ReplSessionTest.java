package dev.jneox.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jneox.infer.Engine;
import dev.jneox.infer.LanguageModel;
import dev.jneox.infer.Precision;
import dev.jneox.infer.Sampler;
import dev.jneox.tokenizer.BpeTrainer;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** {@code complete} and {@code chat} that are ended and taken up again. */
@Timeout(60)
class ReplSessionTest {
  private static final Path FIXTURE =
      Path.of("..", "core", "src", "test", "resources", "parity", "neox-parallel");

  @TempDir static Path dir;
  private static Path model;
  private static Path other;

  @BeforeAll
  static void make() throws IOException {
    model = Files.createDirectory(dir.resolve("model"));
    other = Files.createDirectory(dir.resolve("other"));
    byte[] weights = Files.readAllBytes(FIXTURE.resolve("model.safetensors"));
    Files.write(model.resolve("model.safetensors"), weights);
    weights[weights.length - 4] ^= 1; // the last bit of the last number
    Files.write(other.resolve("model.safetensors"), weights);
    String config = Files.readString(FIXTURE.resolve("config.json"));
    String longer = config.replaceFirst("(\"max_position_embeddings\": )\\d+", "$11024");
    assertThat(longer).isNotEqualTo(config);
    BpeTrainer trainer = new BpeTrainer(300);
    trainer.count(List.of("int max(int a, int b) { return a > b ? a : b; }").iterator());
    trainer.train(merges -> {}).write(model.resolve("tokenizer.json"));
    Files.copy(model.resolve("tokenizer.json"), other.resolve("tokenizer.json"));
    for (Path folder : List.of(model, other)) {
      Files.writeString(folder.resolve("config.json"), longer);
    }
  }

  private static Output run(String command, String input, String... more) {
    String[] args = {command, "--model", model.toString(), "--max-tokens", "60"};
    String[] all = Arrays.copyOf(args, args.length + more.length);
    System.arraycopy(more, 0, all, args.length, more.length);
    InputStream before = System.in;
    try {
      System.setIn(new ByteArrayInputStream(input.getBytes(StandardCharsets.UTF_8)));
      return Output.of(all);
    } finally {
      System.setIn(before);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"complete", "chat"})
  void aSessionGoesOnAsIfItHadNeverStopped(String command) {
    String file = dir.resolve("session-" + command).toString();
    String whole = run(command, "int max\nint b\n/undo\nreturn a\n\nint c\n").out();
    StringBuilder parts = new StringBuilder();
    for (String part : List.of("int max\n", "int b\n/undo\n", "return a\n\n", "", "int c\n")) {
      Output output = run(command, part, "--session", file);
      assertThat(output.code()).as(output.err()).isZero();
      parts.append(output.out());
    }
    assertThat(parts.toString()).isNotBlank().isEqualTo(whole);
  }

  @ParameterizedTest
  @CsvSource({
    "q4, quantize --dtype q4",
    "q8, quantize --dtype q8",
    "b.gguf, convert --format gguf --dtype bf16",
  })
  void anyFormatIsTakenUp(String name, String command) {
    Path kept = model;
    Path made = dir.resolve(name);
    String file = dir.resolve("session-" + name).toString();
    String[] making = (command + " --from " + model + " --to " + made).split(" ");
    Output output = Output.of(making);
    assertThat(output.code()).as(output.err()).isZero();
    try {
      model = made;
      String whole = run("complete", "int max\n\n").out();
      String first = run("complete", "int max\n", "--session", file).out();
      assertThat(first + run("complete", "\n", "--session", file).out()).isEqualTo(whole);
    } finally {
      model = kept;
    }
    refused(run("complete", "\n", "--session", file), "model: expected the one that is open");
  }

  @Test
  void whatWasReadOnceIsNotComputedAgain() {
    Path file = dir.resolve("counted");
    StringWriter first = new StringWriter();
    Conversation conversation = Conversation.continued();
    try (LanguageModel loaded = LanguageModel.open(model, Precision.STORED)) {
      LocalModel writer = new LocalModel(loaded, Sampler.GREEDY, 40);
      new Repl(writer, conversation).turn("int max ".repeat(80), new PrintWriter(first), false);
      writer.save(file, conversation, "");
    }
    try (LanguageModel loaded = LanguageModel.open(model, Precision.STORED)) {
      LocalModel writer = new LocalModel(loaded, Sampler.GREEDY, 40);
      writer.restore(file);
      new Repl(writer, conversation).turn("int", new PrintWriter(new StringWriter()), false);
      Engine.Metrics metrics = loaded.generator().engine().metrics();
      assertThat(metrics.reusedTokens()).isPositive();
      assertThat(metrics.promptTokens()).isLessThan(metrics.reusedTokens());
    }
  }

  @Test
  void aFileThatDoesNotFitIsRefusedAndLeft() throws IOException {
    Path file = dir.resolve("kept");
    assertThat(run("chat", "int max\n", "--session", file.toString()).code()).isZero();
    byte[] whole = Files.readAllBytes(file);
    refused(run("complete", "a\n", "--session", file.toString()), "found one of jneox chat");
    refused(
        run("chat", "a\n", "--session", file.toString(), "--dtype", "bf16"),
        "model: expected the one that is open");
    Path kept = model;
    try {
      model = other;
      refused(run("chat", "a\n", "--session", file.toString()), "other weights");
    } finally {
      model = kept;
    }
    assertThat(file).hasBinaryContent(whole);
    Files.write(file, Arrays.copyOf(whole, whole.length - 5));
    refused(run("chat", "a\n", "--session", file.toString()), "it is not whole");
    Files.writeString(file, "hello ".repeat(50));
    refused(run("chat", "a\n", "--session", file.toString()), "JNEOXKV1");
    assertThat(file).hasContent("hello ".repeat(50));
    refused(
        run("chat", "a\n", "--session", model.resolve("config.json/below").toString()),
        "config.json");
    try (LanguageModel loaded = LanguageModel.open(model, Precision.STORED)) {
      Files.delete(file);
      loaded.generator().engine().saveSession(file, new int[] {1}, "a text of a program");
    }
    refused(run("chat", "a\n", "--session", file.toString()), "found that of a program");
  }

  private static void refused(Output output, String... parts) {
    assertThat(output.code()).as(output.err()).isEqualTo(1);
    assertThat(output.out()).isEmpty();
    assertThat(output.err()).startsWith("jneox: ").contains(parts).hasLineCount(1);
  }
}
