package dev.jneox.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jneox.data.IndexedDataset;
import dev.jneox.format.neox.RunFolder;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import picocli.CommandLine;

/**
 * Every command when standard output cannot be written; {@code demo} makes what the others read.
 * {@link HubCommandsTest} has download.
 */
@Tag("slow")
class LostOutputTest {
  private static final String FULL = "No space left on device";
  private static final String LINE = "jneox: standard output: cannot be written: " + FULL;

  @TempDir static Path dir;

  private static Output demo;

  /** Fails after some bytes, as a disk that is full does. */
  private static final class Failing extends OutputStream {
    private final String reason;
    private int room;
    private int refused;

    Failing(String reason, int room) {
      this.reason = reason;
      this.room = room;
    }

    @Override
    public void write(int b) throws IOException {
      if (room-- <= 0) {
        refused++;
        throw new IOException(reason);
      }
    }
  }

  /** Runs {@code jneox args} with a standard output that fails. */
  private static Output lost(OutputStream target, InputStream input, String... args) {
    PrintStream out = System.out;
    PrintStream err = System.err;
    InputStream in = System.in;
    ByteArrayOutputStream errBytes = new ByteArrayOutputStream();
    try (PrintStream failing = new StandardOutput(target)) {
      System.setOut(failing);
      System.setErr(new PrintStream(errBytes, true, StandardCharsets.UTF_8));
      System.setIn(input);
      return new Output(Main.run(args), "", errBytes.toString(StandardCharsets.UTF_8));
    } finally {
      System.setOut(out);
      System.setErr(err);
      System.setIn(in);
    }
  }

  private static InputStream lines(int count) {
    return new ByteArrayInputStream(
        "{\"text\": \"int max\", \"ids\": [1, 2, 3]}\n"
            .repeat(count)
            .getBytes(StandardCharsets.UTF_8));
  }

  @BeforeAll
  static void makeWhatTheOthersRead() throws IOException {
    Path corpus = Files.createDirectories(dir.resolve("corpus"));
    StringBuilder documents = new StringBuilder();
    for (int i = 0; i < 60; i++) {
      documents
          .append("{\"text\": \"")
          .append(
              "final class Max%d { static int max(int a) { return %d; } } "
                  .formatted(i, i)
                  .repeat(9))
          .append("\"}\n");
    }
    Files.writeString(corpus.resolve("java.jsonl"), documents);
    Files.writeString(
        dir.resolve("text.txt"), "int max(int a, int b) { return a > b ? a : b; }\n".repeat(9));
    demo =
        lost(
            new Failing(FULL, 0),
            lines(0),
            "demo",
            "--minutes",
            "0.2",
            "--corpus",
            corpus.toString(),
            "--out",
            dir.resolve("demo").toString());
  }

  /** A command of its own words, with {@code @} for the folder. */
  static Stream<List<String>> commands() {
    return Stream.of(
            "--help",
            "--version",
            "help train",
            "generate --help",
            "doctor",
            "completion bash",
            "tokenizer train --vocab-size 300 --out @/tok.json @/text.txt",
            "tokenizer encode --tokenizer @/demo/tokenizer.json",
            "tokenizer decode --tokenizer @/demo/tokenizer.json",
            "prepare --tokenizer @/demo/tokenizer.json --out @/prepared @/text.txt",
            "data inspect @/demo/data/java",
            "train @/demo/demo.yml --set train_iters=1 --set num_layers=1 --set hidden_size=32"
                + " --set num_attention_heads=2 --set save=@/run",
            "schedule --lr 1 --decay-iters 10 --at 0,1,5",
            "generate --model @/demo/model --prompt int --max-tokens 3",
            "generate --model @/demo/model --prompt int --max-tokens 3 --json",
            "score --model @/demo/model --text int",
            "score --model @/demo/model --text int --json",
            "eval --model @/demo/model --file @/text.txt",
            "complete --model @/demo/model --max-tokens 3",
            "chat --model @/demo/model --max-tokens 3",
            "bench decode --model @/demo/model --prompt 3 --new 2 --rounds 1 --warmup 0",
            "convert --from @/demo/model --to @/converted --format hf",
            "quantize --from @/demo/model --to @/quantised --dtype q4",
            "synth --config pythia/14M --format hf --out @/synth --tokenizer @/demo/tokenizer.json",
            "inspect @/demo/model",
            "inspect @/demo/model --json",
            "inspect @/demo/run",
            "verify @/demo/model",
            "publish @/demo/model --repo me/name --license mit --out @/published")
        .map(command -> List.of(command.replace("@", dir.toString()).split(" ")));
  }

  @ParameterizedTest
  @MethodSource("commands")
  void aReportThatIsLostIsOneLineAndOne(List<String> command) {
    Output output = lost(new Failing(FULL, 0), lines(3), command.toArray(String[]::new));
    assertThat(output.err().lines()).last().isEqualTo(LINE);
    assertThat(
            output
                .err()
                .lines()
                .filter(line -> line.startsWith("jneox: ") && line.contains("cannot")))
        .hasSize(1);
    assertThat(output.code()).isEqualTo(1);
    if (command.getFirst().equals("train")) {
      assertThat(RunFolder.of(dir.resolve("run")).newest()).hasFileName("global_step1");
    }
    Path made =
        dir.resolve(
            switch (command.getFirst()) {
              case "prepare" -> "prepared.idx";
              case "convert" -> "converted/model.safetensors";
              case "quantize" -> "quantised/model.safetensors";
              case "synth" -> "synth/model.safetensors";
              case "publish" -> "published/SHA256SUMS";
              default -> command.contains("--vocab-size") ? "tok.json" : "text.txt";
            });
    assertThat(made).isRegularFile();
  }

  @Test
  void theDemosModelHasACardThatPublishWritesAnew() {
    Path model = dir.resolve("demo/model");
    assertThat(model.resolve("README.md")).content().contains("# demo").doesNotContain("license:");
    Path out = dir.resolve("with a card");
    Output output =
        Output.of(
            "publish",
            model.toString(),
            "--repo",
            "me/name",
            "--license",
            "mit",
            "--out",
            out.toString());
    assertThat(output.code()).as(output.err()).isZero();
    assertThat(output.out()).contains("hf upload me/name '" + out + "' .");
    assertThat(out.resolve("README.md")).content().contains("license: mit", "# me/name");
  }

  /**
   * {@code data index} prints nothing, so it has nothing to lose; {@code serve} goes on without its
   * first lines; {@code corpus} and the ranks of {@code launch} run in processes of their own.
   */
  @Test
  void everyCommandIsInTheTable() {
    List<String> table = commands().map(command -> String.join(" ", command) + " ").toList();
    leaves(Main.commandLine(), "")
        .filter(
            name ->
                !List.of("demo", "help", "download", "data index", "serve", "corpus", "launch")
                    .contains(name))
        .forEach(
            name -> assertThat(table).as(name).anyMatch(command -> command.startsWith(name + " ")));
  }

  private static Stream<String> leaves(CommandLine line, String path) {
    return line.getSubcommands().entrySet().stream()
        .flatMap(
            sub ->
                sub.getValue().getSubcommands().isEmpty()
                    ? Stream.of(path + sub.getKey())
                    : leaves(sub.getValue(), path + sub.getKey() + " "));
  }

  @Test
  void theDemoMakesEverythingThoughNothingOfItIsSeen() {
    assertThat(demo.err().lines()).last().isEqualTo(LINE);
    assertThat(demo.code()).isEqualTo(1);
    assertThat(dir.resolve("demo/loss.png")).isRegularFile();
    assertThat(RunFolder.of(dir.resolve("demo/run")).newest()).hasFileName("global_step10");
    assertThat(IndexedDataset.open(dir.resolve("demo/data/java")).sequences()).isEqualTo(60);
  }

  @Test
  void aClosedPipeIsQuietAndEndsWhatNobodyReads() {
    String model = dir.resolve("demo/model").toString();
    Output generate =
        lost(
            new Failing("Broken pipe", 4),
            lines(0),
            "generate",
            "--model",
            model,
            "--prompt",
            "int",
            "--max-tokens",
            "200");
    assertThat(generate).isEqualTo(new Output(141, "", ""));
    InputStream input = lines(200_000);
    Failing pipe = new Failing("Broken pipe", 100);
    Output encode =
        lost(
            pipe,
            input,
            "tokenizer",
            "encode",
            "--tokenizer",
            dir.resolve("demo/tokenizer.json").toString());
    assertThat(encode).isEqualTo(new Output(141, "", ""));
    assertThat(pipe.refused).as("tries").isEqualTo(1);
    assertThat(input)
        .as("lines are left")
        .isNotNull()
        .satisfies(rest -> assertThat(rest.available()).isPositive());
  }

  @Test
  void aFailureOfTheCommandKeepsItsExitCode() {
    Output wrong =
        lost(new Failing("Broken pipe", 0), lines(0), "verify", dir.resolve("corpus").toString());
    assertThat(wrong.code()).isEqualTo(1);
    Output usage = lost(new Failing(FULL, 0), lines(0), "schedule");
    assertThat(usage.code()).isEqualTo(2);
    assertThat(usage.err().lines())
        .singleElement()
        .asString()
        .startsWith("jneox: Missing required option");
  }

  /** What the operating system says, past our own stream in the other tests. */
  @Test
  void realProcessesFailOnAFullDiskAndEndOnAClosedPipe() throws Exception {
    Process full = process("--version").redirectOutput(new File("/dev/full")).start();
    String err = new String(full.getErrorStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(err.lines()).last().isEqualTo(LINE);
    assertThat(exit(full)).isEqualTo(1);

    String tokenizer = dir.resolve("demo/tokenizer.json").toString();
    Process closed =
        process("tokenizer", "decode", "--tokenizer", tokenizer)
            .redirectError(ProcessBuilder.Redirect.DISCARD)
            .start();
    closed.getInputStream().close();
    try (OutputStream input = closed.getOutputStream()) {
      lines(1).transferTo(input);
    }
    assertThat(exit(closed)).isEqualTo(StandardOutput.CLOSED_PIPE);

    Process silent =
        process("schedule", "--lr", "1", "--decay-iters", "10", "--at", "0")
            .redirectError(new File("/dev/full"))
            .start();
    assertThat(new String(silent.getInputStream().readAllBytes(), StandardCharsets.UTF_8))
        .contains("learning rate");
    assertThat(exit(silent)).isZero();
  }

  private static ProcessBuilder process(String... args) {
    Relaunch relaunch = Relaunch.read();
    String java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
    ProcessBuilder process =
        new ProcessBuilder(
            relaunch.command(java, List.of(), System.getProperty("java.class.path"), args));
    relaunch.environment().forEach(process.environment()::putIfAbsent);
    return process;
  }

  private static int exit(Process process) throws InterruptedException {
    assertThat(process.waitFor(1, TimeUnit.MINUTES)).isTrue();
    return process.exitValue();
  }
}
