package dev.jneox.train;

import java.util.OptionalDouble;

/** Sums up steps of a run: what a line about some of them says. */
public final class StepWindow {
  private int steps;
  private double loss;
  private long tokens;
  private double seconds;
  private double flops;
  private int skipped;

  /** Starts without a step. */
  public StepWindow() {}

  /**
   * Describes some steps in a row.
   *
   * @param loss mean of those that were not skipped, in nats per token; empty when all were
   * @param skipped how many were
   */
  public record Summary(
      OptionalDouble loss, int skipped, double tokensPerSecond, double flopsPerSecond) {}

  /** Adds a step. */
  public void add(Trainer.Step step) {
    steps++;
    loss += step.skipped() ? 0 : step.loss();
    skipped += step.skipped() ? 1 : 0;
    tokens += step.tokens();
    seconds += step.seconds();
    flops += step.flops();
  }

  /** Sums up the steps added so far and starts anew. */
  public Summary take() {
    Summary summary =
        new Summary(
            steps == skipped ? OptionalDouble.empty() : OptionalDouble.of(loss / (steps - skipped)),
            skipped,
            tokens / seconds,
            flops / seconds);
    steps = 0;
    loss = 0;
    tokens = 0;
    seconds = 0;
    flops = 0;
    skipped = 0;
    return summary;
  }
}
