package dev.jneox.train;

import java.util.OptionalDouble;

/** Summarises consecutive steps of a run, for a line of the log. */
public final class StepWindow {
  private int steps;
  private double loss;
  private long tokens;
  private double seconds;
  private double flops;
  private double waited;
  private double sent;
  private int skipped;

  /** Starts without a step. */
  public StepWindow() {}

  /**
   * Describes consecutive steps.
   *
   * @param loss mean over the steps that were not skipped, in nats per token; empty when all were
   * @param skipped number of steps that were skipped
   * @param tokensPerSecond training tokens per second
   * @param flopsPerSecond floating-point operations of the model per second
   * @param waiting share of the time in which this process waited for others
   * @param sentBytes that this process sent to others in a step
   */
  public record Summary(
      OptionalDouble loss,
      int skipped,
      double tokensPerSecond,
      double flopsPerSecond,
      double waiting,
      double sentBytes) {}

  /** Adds a step. */
  public void add(Trainer.Step step) {
    steps++;
    loss += step.skipped() ? 0 : step.loss();
    skipped += step.skipped() ? 1 : 0;
    tokens += step.tokens();
    seconds += step.seconds();
    flops += step.flops();
    waited += step.waited();
    sent += step.sent();
  }

  /** Returns the summary of the steps added so far, and starts again without a step. */
  public Summary take() {
    Summary summary =
        new Summary(
            steps == skipped ? OptionalDouble.empty() : OptionalDouble.of(loss / (steps - skipped)),
            skipped,
            tokens / seconds,
            flops / seconds,
            waited / seconds,
            sent / steps);
    steps = 0;
    loss = 0;
    tokens = 0;
    seconds = 0;
    flops = 0;
    waited = 0;
    sent = 0;
    skipped = 0;
    return summary;
  }
}
