package dev.jneox.cli.train;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.PrintWriter;
import java.io.StringWriter;
import org.junit.jupiter.api.Test;
import picocli.CommandLine;

class ScheduleCommandTest {
  private final StringWriter out = new StringWriter();
  private final StringWriter err = new StringWriter();

  private int run(String... args) {
    return new CommandLine(new ScheduleCommand())
        .setCaseInsensitiveEnumValuesAllowed(true)
        .setOut(new PrintWriter(out))
        .setErr(new PrintWriter(err))
        .execute(args);
  }

  @Test
  void jsonHasOneRateForEachIterationAskedFor() {
    int code =
        run(
            "--version",
            "v1.0",
            "--lr",
            "1e-3",
            "--min-lr",
            "1e-4",
            "--warmup-iters",
            "100",
            "--decay-iters",
            "1000",
            "--style",
            "linear",
            "--at",
            "0,1,100,333",
            "--json");
    assertThat(code).isZero();
    assertThat(out.toString().strip())
        .isEqualTo("{\"lr_at\":{\"0\":0.0,\"1\":1.0E-5,\"100\":0.001,\"333\":7.67E-4}}");
  }

  @Test
  void theTableShowsThePartOfThePeak() {
    assertThat(run("--lr", "0.5", "--decay-iters", "10", "--style", "linear", "--at", "5"))
        .isZero();
    assertThat(out.toString()).contains("iteration").contains("0.25").contains("50.00%");
  }

  @Test
  void wrongOptionsAreWrongUsage() {
    assertThat(run("--lr", "1", "--decay-iters", "10", "--at", "0", "--version", "v3"))
        .isEqualTo(2);
    assertThat(err.toString()).contains("expected v1.0 or v2, found v3");
    assertThat(run("--lr", "1", "--decay-iters", "10", "--at", "-1")).isEqualTo(2);
    assertThat(run("--decay-iters", "10", "--at", "0")).isEqualTo(2);
  }

  @Test
  void theHelpShowsAnExample() {
    assertThat(run("--help")).isZero();
    assertThat(out.toString()).contains("jneox schedule --version v1.0");
  }
}
