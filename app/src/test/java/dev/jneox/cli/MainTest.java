package dev.jneox.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jneox.io.BusyException;
import dev.jneox.io.CancelledException;
import dev.jneox.io.DivergedException;
import dev.jneox.io.InputException;
import dev.jneox.io.JneoxException;
import dev.jneox.io.MemoryException;
import dev.jneox.io.StorageException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.concurrent.CompletionException;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
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
        .contains("'no-such-command'")
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
        new InternalError("a fault occurred in an unsafe memory access operation"),
        new InvalidPathException("a\0b", "Nul character not allowed"));
  }

  @ParameterizedTest
  @MethodSource("failuresOfFilesAndMachine")
  void whatAFileOrTheMachineCausesIsOneLineToo(Throwable failure) {
    StringWriter err = new StringWriter();
    assertThat(Main.failed(new PrintWriter(err), failure)).isEqualTo(1);
    assertThat(err.toString().lines()).hasSize(1);
    assertThat(err.toString()).startsWith("jneox: ").doesNotContain("internal error", "\0");
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
    assertThat(help).startsWith("Usage: jneox ").contains("--help");
    if (line.getSubcommands().isEmpty()) {
      assertThat(help.substring(help.indexOf("Example")))
          .contains(line.getCommandSpec().qualifiedName());
    }
  }
}
