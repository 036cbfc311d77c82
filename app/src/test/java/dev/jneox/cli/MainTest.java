package dev.jneox.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jneox.io.BusyException;
import dev.jneox.io.CancelledException;
import dev.jneox.io.DivergedException;
import dev.jneox.io.InputException;
import dev.jneox.io.JneoxException;
import dev.jneox.io.MemoryException;
import dev.jneox.io.StorageException;
import java.io.EOFException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.InvalidPathException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CompletionException;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine;

class MainTest {
  @Test
  void helpAndVersionSucceedOnStandardOutput() {
    assertThat(Output.of("--version").out())
        .startsWith("jneox ")
        .contains("Java " + Runtime.version());
    Output help = Output.of("--help");
    assertThat(help.code()).isZero();
    assertThat(help.out()).contains("Usage: jneox").contains("doctor");
    assertThat(help.err()).isEmpty();
  }

  @Test
  void wrongUsageIsTwoAndSaysWhereHelpIs() {
    assertThat(Output.of("no-such-command").code()).isEqualTo(2);
    assertThat(Output.of("no-such-command").err())
        .contains("unknown command no-such-command")
        .contains("jneox --help");
    assertThat(Output.of("doctor", "--no-such-option").code()).isEqualTo(2);
    assertThat(Output.of().code()).isEqualTo(2);
  }

  static Stream<JneoxException> failures() {
    return Stream.of(
        InputException.in(Path.of("a"), "b", "c", "d\n"),
        new StorageException(Path.of("a"), "cannot be read", "b", null),
        new MemoryException("a", 2, 1),
        new BusyException(3),
        new CancelledException("a", null),
        new DivergedException("a", 1, Double.NaN, Double.NaN));
  }

  @ParameterizedTest
  @MethodSource("failures")
  void aFailureIsOneLineOnStandardErrorAndOne(JneoxException failure) throws Exception {
    StringWriter err = new StringWriter();
    CommandLine line = Main.commandLine().setErr(new PrintWriter(err));
    int code = line.getExecutionExceptionHandler().handleExecutionException(failure, line, null);
    assertThat(code).isEqualTo(1);
    assertThat(err.toString().lines()).containsExactly("jneox: " + failure.getMessage());
  }

  static Stream<Throwable> failuresOfFilesAndMachine() {
    return Stream.of(
        new OutOfMemoryError("Java heap space"),
        new StackOverflowError(),
        new UnsatisfiedLinkError("/tmp/a.so: failed to map segment from shared object"),
        new NoClassDefFoundError("x").initCause(new UnsatisfiedLinkError("/tmp/a.so")),
        new CompletionException(InputException.in(Path.of("a"), "b", "c", "d")),
        new UncheckedIOException(new NoSuchFileException("a")),
        new UncheckedIOException(new AccessDeniedException("a")),
        new UncheckedIOException(new FileSystemException("a", null, "No space left on device")),
        new UncheckedIOException(new EOFException()),
        new InternalError("a fault occurred in an unsafe memory access operation"),
        new InvalidPathException("a\0b", "Nul character not allowed"));
  }

  @ParameterizedTest
  @MethodSource("failuresOfFilesAndMachine")
  void whatAFileOrTheMachineCausesIsOneLineToo(Throwable failure) {
    StringWriter err = new StringWriter();
    assertThat(Main.failed(new PrintWriter(err), failure)).isEqualTo(1);
    assertThat(err.toString().lines()).hasSize(1);
    assertThat(err.toString())
        .startsWith("jneox: ")
        .doesNotContain("internal error", "\0", "Exception:");
  }

  @Test
  void aBugIsToldWithItsTraceAndWithoutTerminalEscapes() {
    StringWriter err = new StringWriter();
    assertThat(Main.failed(new PrintWriter(err), new IllegalStateException("\u001b[2J"))).isOne();
    assertThat(err.toString())
        .startsWith("jneox: internal error")
        .contains("IllegalStateException: \\u001b[2J\n")
        .doesNotContain("\u001b");
  }

  @ParameterizedTest
  @CsvSource(
      textBlock =
          """
          trian, unknown command trian: did you mean train?
          tokenizer tran, unknown command tran: did you mean train?
          zzz, unknown command zzz
          generate --modle m --prompt x, unknown option --modle: did you mean --model?
          generate -m m --prompt x, unknown option -m: did you mean --model?
          generate --model m --prompt x --max-tokns=3, unknown option --max-tokns: did you mean --max-tokens?
          score --mode=m, unknown option --mode: did you mean --model?
          doctor --quux, unknown option --quux
          doctor now, unexpected argument now
          """)
  void aMisspeltCommandOrOptionIsNamedWithTheOneThatWasMeant(String words, String message) {
    Output output = Output.of(words.split(" "));
    assertThat(output.code()).isEqualTo(2);
    assertThat(output.err()).startsWith("jneox: " + message + " (see jneox ");
    assertThat(output.err().lines()).hasSize(1);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "generate --model no-such --prompt x --max-tokens 0",
        "generate --model no-such --prompt x --temperature -1",
        "generate --model no-such --prompt x -n 0",
        "generate --model no-such --prompt-ids 1,x",
        "score --model no-such --ids 1,x",
        "quantize --from no-such --to no --dtype q4 --ids 1,x",
        "complete --model no-such --max-tokens 0",
        "chat --model no-such --top-p 7",
        "eval --model no-such --file no-such --limit 0",
        "bench decode --model no-such --rounds 0",
        "tokenizer train --vocab-size 1 --out no no-such",
        "prepare --tokenizer no-such --out no --threads 0 no-such",
        "data index --seq-length 2000000000 --part no-such:1:1 --out no",
        "data index --seq-length 8 --part no-such:9999999999:1 --out no",
        "data inspect no-such --seq-length 0",
        "synth --config 20B --format neox --tp 0 --out no",
        "synth --config 20B --format hf --shard-size 5 --out no",
        "schedule --lr 1 --decay-iters 10 --at -1",
        "schedule --lr -1 --decay-iters 10 --at 1",
        "demo --minutes 0",
        "demo --seed -1"
      })
  void aValueThatNoInputWouldMakeRightIsWrongUsageInEveryCommand(String words) {
    Output output = Output.of(words.split(" "));
    assertThat(output.err().lines()).hasSize(1);
    assertThat(output.err()).startsWith("jneox: ").contains("expected").endsWith(" --help)\n");
    assertThat(output.code()).isEqualTo(2);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "generate --model ./no-such --prompt x",
        "score --model ./no-such --text x",
        "eval --model ./no-such --file x",
        "convert --from ./no-such --to no --format hf",
        "quantize --from ./no-such --to no --dtype q4",
        "inspect ./no-such",
        "verify ./no-such",
        "tokenizer train --vocab-size 300 --out no ./no-such",
        "tokenizer encode --tokenizer ./no-such --text x",
        "prepare --tokenizer ./no-such --out no x.txt",
        "data index --seq-length 8 --part ./no-such:1:1 --out no",
        "data inspect ./no-such",
        "synth --config ./no-such --format hf --out no",
        "publish ./no-such --repo me/it",
        "train ./no-such.yml",
        "demo --out no --corpus ./no-such"
      })
  void aMissingFileIsOneInEveryCommand(String words) throws Exception {
    Output output = Output.of(words.split(" "));
    assertThat(output.err().lines()).hasSize(1);
    assertThat(output.err()).startsWith("jneox: ").contains("no-such").doesNotContain("Exception");
    assertThat(output.code()).isEqualTo(1);
  }

  static Stream<CommandLine> commands() {
    return commands(Main.commandLine()).filter(line -> !line.getCommandName().equals("help"));
  }

  private static Stream<CommandLine> commands(CommandLine line) {
    return line.getSubcommands().values().stream()
        .flatMap(sub -> Stream.concat(Stream.of(sub), commands(sub)));
  }

  @ParameterizedTest
  @MethodSource("commands")
  void everyCommandHelpsAndEveryLeafShowsAnExample(CommandLine line) {
    String help = line.getUsageMessage(CommandLine.Help.Ansi.OFF);
    assertThat(help).startsWith("Usage: jneox ");
    assertThat(line.getCommandSpec().optionsMap().get("--help"))
        .as("its text may name the --help of another command")
        .isNotNull()
        .matches(CommandLine.Model.OptionSpec::usageHelp);
    if (line.getSubcommands().isEmpty()) {
      assertThat(help.substring(help.indexOf("Example")))
          .contains(line.getCommandSpec().qualifiedName());
    }
  }

  /** A file's name that is broken at its point, as {@code tokenizer.} and {@code json}. */
  private static final Pattern BROKEN_NAME =
      Pattern.compile("\\w\\.\\R\\s*(json|jsonl|txt|yml|gguf|bin|idx|cache|co)\\b(?!:)");

  @ParameterizedTest
  @MethodSource("commands")
  void helpFlowsAndItsExamplesStayWhole(CommandLine line) {
    CommandLine.Model.UsageMessageSpec usage = line.getCommandSpec().usageMessage();
    assertThat(usage.description()[0]).as("what the list of commands shows").endsWith(".");
    for (String[] lines : List.of(usage.description(), usage.footer())) {
      for (int i = 0; i < lines.length; i++) {
        boolean indented = lines[i].startsWith("  ");
        boolean more = i + 1 < lines.length && !lines[i + 1].isEmpty();
        if (indented) {
          assertThat(lines[i]).as("a line of an example or a table").hasSizeLessThanOrEqualTo(80);
        } else if (more && !lines[i].isEmpty() && !lines[i + 1].startsWith("  ")) {
          assertThat(lines[i]).as("the end of a paragraph").matches("(?s).*[.:!?]");
        }
      }
    }
    assertThat(line.getUsageMessage(CommandLine.Help.Ansi.OFF)).doesNotContainPattern(BROKEN_NAME);
  }
}
