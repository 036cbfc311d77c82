package dev.jneox.cli.train;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jneox.train.Trainer;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;

class StepLinesTest {
  private static Trainer.Step step(int iteration, double loss, boolean skipped) {
    return new Trainer.Step(iteration, loss, 1e-3, 1, 1024, skipped, 100, 2, 6e9, 0, 0);
  }

  /** On a terminal the line within a step goes away; in a log it is written every 20 seconds. */
  @Test
  void aLongStepIsToldOfOnATerminalAlone() {
    StringWriter out = new StringWriter();
    List<String> shown = new ArrayList<>();
    StepLines terminal =
        new StepLines(new PrintWriter(out), 1, 6, 1e12, OptionalInt::empty, shown::add);
    terminal.afterMicroBatch(1, 1, 16, 0.5);
    terminal.afterMicroBatch(1, 5, 16, 2.5);
    terminal.afterMicroBatch(1, 6, 16, 3);
    terminal.afterStep(null, step(1, 9, false));
    terminal.afterStep(null, step(2, 9, false));
    assertThat(shown)
        .containsExactly(
            "step 1/6 | micro-batch 5 of 16 | 0:03 of about 0:08",
            "step 1/6 | micro-batch 6 of 16 | 0:03 of about 0:08",
            "");
    assertThat(out.toString().lines()).hasSize(2).allMatch(line -> line.contains("| loss "));
    StringWriter log = new StringWriter();
    new StepLines(new PrintWriter(log), 1, 6, 1e12, OptionalInt::empty, _ -> false)
        .afterMicroBatch(1, 5, 16, 2.5);
    assertThat(log.toString()).isEmpty();
  }

  @Test
  void aLineOfSkippedStepsAloneHasNoLoss() {
    StringWriter out = new StringWriter();
    StepLines lines = new StepLines(new PrintWriter(out), 2, 6, 1e12);
    lines.afterStep(null, step(1, Double.NaN, true));
    lines.afterStep(null, step(2, 9, false));
    lines.afterStep(null, step(3, Double.NaN, true));
    lines.afterStep(null, step(4, 7.5, false));
    assertThat(out.toString().lines())
        .satisfiesExactly(
            line ->
                assertThat(line)
                    .startsWith("step 1/6 | loss skipped | lr")
                    .endsWith("| 1 skipped, loss scale 1024"),
            line -> assertThat(line).startsWith("step 2/6 | loss  9.0000 | lr"),
            line ->
                assertThat(line).startsWith("step 4/6 | loss  7.5000 | lr").contains("1 skipped"));
  }

  private static List<String> lines(OptionalInt width, double gemmRate, Trainer.Step... steps) {
    StringWriter out = new StringWriter();
    StepLines lines =
        new StepLines(new PrintWriter(out), 1, 1000, gemmRate, () -> width, _ -> false);
    for (Trainer.Step step : steps) {
      lines.afterStep(null, step);
    }
    return out.toString().lines().toList();
  }

  private static String last(OptionalInt width, double gemmRate, Trainer.Step... steps) {
    return lines(width, gemmRate, steps).getLast();
  }

  @Test
  void aLineFitsTheScreenAndLosesTheLeastImportantColumnsFirst() {
    Trainer.Step[] step = {step(9, 7.5, false), step(10, 7.5, false)};
    String whole =
        "step   10/1000 | loss  7.5000 | lr 1.00e-03 | grad norm  1.000 |      50 tokens/s | 3.0"
            + " GFLOP/s | 30% of GEMM | ETA 33:00";
    assertThat(last(OptionalInt.empty(), 1e10, step)).isEqualTo(whole);
    assertThat(last(OptionalInt.of(whole.length()), 1e10, step)).isEqualTo(whole);
    assertThat(last(OptionalInt.of(80), 1e10, step))
        .isEqualTo(
            "step   10/1000 | loss  7.5000 | grad norm  1.000 |      50 tokens/s | ETA 33:00");
    assertThat(last(OptionalInt.of(50), 1e10, step))
        .isEqualTo("step   10/1000 | loss  7.5000 | ETA 33:00");
    assertThat(last(OptionalInt.of(10), 1e10, step)).isEqualTo("step   10/1000 | loss  7.5000");
  }

  @Test
  void everyLineHasTheShareOfTheRate() {
    assertThat(lines(OptionalInt.empty(), 1e9, step(10, 7.5, false)))
        .singleElement()
        .asString()
        .contains("3.0 GFLOP/s | 300% of GEMM");
    assertThat(
            lines(
                OptionalInt.empty(),
                1e12,
                new Trainer.Step(1, 1, 1e-3, 1, 1, false, 100, 2, 6e6, 0, 0)))
        .singleElement()
        .asString()
        .contains("3.0 MFLOP/s");
  }

  @Test
  void theFirstStepOfAResumedRunHasALine() {
    StringWriter out = new StringWriter();
    StepLines lines = new StepLines(new PrintWriter(out), 5, 20, 1e12);
    for (int n = 7; n <= 11; n++) {
      lines.afterStep(null, step(n, 7.5, false));
    }
    assertThat(out.toString().lines())
        .satisfiesExactly(
            line -> assertThat(line).startsWith("step  7/20 "),
            line -> assertThat(line).startsWith("step 10/20 "));
  }

  @Test
  void linesOfARunLeaveOutTheSameColumns() {
    List<String> lines =
        lines(
            OptionalInt.of(80),
            1e10,
            step(1, 7.5, false),
            step(2, 7.5, false),
            new Trainer.Step(3, 7, 1e-3, 1, 1, false, 100, 2e-4, 6e9, 0, 0),
            step(4, 7.5, false));
    assertThat(lines)
        .allMatch(line -> line.length() <= 80)
        .extracting(
            line ->
                line.replaceAll("[^a-zA-Z/ ]+", "")
                    .replaceAll(" ETA ?", "")
                    .replaceAll(" +", " ")
                    .strip())
        .containsOnly("step / loss grad norm tokens/s");
  }

  @Test
  void theTimeLeftIsThatOfManyStepsAndNotOfTheLastOrTheFirst() {
    Trainer.Step[] steps = new Trainer.Step[21];
    for (int i = 0; i < steps.length; i++) {
      double seconds = i == 0 ? 60 : i == 20 ? 22 : 2; // the first warms up, the last is slow
      steps[i] = new Trainer.Step(i + 1, 7, 1e-3, 1, 1, false, 100, seconds, 6e9, 0, 0);
    }
    assertThat(lines(OptionalInt.empty(), 1e12, steps))
        .satisfies(
            all -> {
              assertThat(all.get(0)).doesNotContain("ETA");
              assertThat(all.get(1)).endsWith("ETA 33:16");
              assertThat(all.get(20)).endsWith("ETA 48:57"); // 3 seconds a step in the mean
            });
  }
}
