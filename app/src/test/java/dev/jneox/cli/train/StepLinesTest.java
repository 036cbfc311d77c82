package dev.jneox.cli.train;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jneox.train.Trainer;
import java.io.PrintWriter;
import java.io.StringWriter;
import org.junit.jupiter.api.Test;

class StepLinesTest {
  private static Trainer.Step step(int iteration, double loss, boolean skipped) {
    return new Trainer.Step(iteration, loss, 1e-3, 1, 1024, skipped, 100, 2, 6e9);
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
