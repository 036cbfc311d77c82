package dev.jneox.cli.train;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jneox.train.Trainer;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class StepLinesTest {
  private static Trainer.Step step(int iteration, double loss, boolean skipped) {
    return new Trainer.Step(iteration, loss, 1e-3, 1, 1024, skipped, 100, 2, 6e9);
  }

  /** On a terminal the line within a step goes away; in a log it is written every 20 seconds. */
  @Test
  void aLongStepIsToldOfOnATerminalAlone() {
    StringWriter out = new StringWriter();
    List<String> shown = new ArrayList<>();
    StepLines terminal = new StepLines(new PrintWriter(out), 1, 6, 1e12, shown::add);
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
    new StepLines(new PrintWriter(log), 1, 6, 1e12, _ -> false).afterMicroBatch(1, 5, 16, 2.5);
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
}
