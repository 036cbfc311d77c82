package dev.jneox.cli.train;

import dev.jneox.cli.ProgressLine;
import dev.jneox.train.StepWindow;
import dev.jneox.train.Trainer;
import dev.jneox.train.TrainingCallback;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.Locale;
import java.util.function.Predicate;

/** Tells of a training run: one line every so many iterations, over the mean of those. */
class StepLines implements TrainingCallback {
  /** A step that takes longer than this is told of while it goes on. */
  private static final long PATIENCE_NANOS = 20_000_000_000L;

  /** The same on a terminal, in seconds, where the line is then replaced. */
  private static final double TERMINAL_PATIENCE = 2;

  private final PrintWriter out;
  private final int every;
  private final int iterations;
  private final double gemmRate;
  private final StepWindow window = new StepWindow();
  private final Predicate<String> status;
  private long told = System.nanoTime();
  private boolean shown;

  /**
   * @param every iterations a line
   * @param iterations of the whole run
   * @param gemmRate FLOP/s of this machine's matrix products, of which the training's share is told
   */
  StepLines(PrintWriter out, int every, int iterations, double gemmRate) {
    this(out, every, iterations, gemmRate, ProgressLine::status);
  }

  /**
   * The same.
   *
   * @param status shows a line that the next takes the place of; false where there is no terminal
   */
  StepLines(PrintWriter out, int every, int iterations, double gemmRate, Predicate<String> status) {
    this.status = status;
    this.out = out;
    this.every = every;
    this.iterations = iterations;
    this.gemmRate = gemmRate;
  }

  @Override
  public void afterStep(Trainer trainer, Trainer.Step step) {
    clear();
    window.add(step);
    int n = step.iteration();
    if (n % every != 0 && n != iterations && n != 1) {
      return;
    }
    StepWindow.Summary summary = window.take(step);
    int width = Integer.toString(iterations).length();
    String skips =
        summary.skipped() == 0
            ? ""
            : " | %d skipped, loss scale %.0f".formatted(summary.skipped(), step.lossScale());
    out.printf(
        Locale.ROOT,
        "step %"
            + width
            + "d/%d | loss %7s | lr %.2e | grad norm %6.3f | %,7.0f tokens/s | %.3f TFLOP/s"
            + " (%2.0f%% of GEMM) | ETA %s%s%n",
        n,
        iterations,
        summary.loss().isEmpty()
            ? "skipped"
            : String.format(Locale.ROOT, "%.4f", summary.loss().getAsDouble()),
        step.lr(),
        step.gradientNorm(),
        summary.tokensPerSecond(),
        summary.flopsPerSecond() / 1e12,
        100 * summary.flopsPerSecond() / gemmRate,
        clock(summary.secondsLeft(iterations)),
        skips);
    out.flush();
    told = System.nanoTime();
  }

  @Override
  public void afterMicroBatch(int iteration, int done, int of, double seconds) {
    String line =
        String.format(
            Locale.ROOT,
            "step %d/%d | micro-batch %d of %d | %s of about %s",
            iteration,
            iterations,
            done,
            of,
            clock(seconds),
            clock(seconds / done * of));
    if (seconds >= TERMINAL_PATIENCE && status.test(line)) {
      shown = true;
      return;
    }
    if (System.nanoTime() - told < PATIENCE_NANOS) {
      return;
    }
    out.println(line);
    out.flush();
    told = System.nanoTime();
  }

  /** Takes away what was shown within a step, before another line. */
  private void clear() {
    if (shown) {
      var _ = status.test("");
      shown = false;
    }
  }

  @Override
  public void afterFailure(Trainer trainer) {
    clear();
  }

  @Override
  public void afterEvaluation(String name, int iteration, double loss) {
    out.printf(
        Locale.ROOT,
        "%s after step %d | loss %.4f | perplexity %.2f%n",
        name,
        iteration,
        loss,
        Math.exp(loss));
    out.flush();
  }

  @Override
  public void afterSave(Path checkpoint, int iteration) {
    noted("saved " + checkpoint);
  }

  @Override
  public void noted(String line) {
    clear();
    out.println(line);
    out.flush();
  }

  /** {@code 2:03}, {@code 1:02:03} from an hour on, {@code 12 days} from three on. */
  static String clock(double seconds) {
    long s = Math.round(seconds);
    if (s >= 3 * 86_400) {
      return "%,d days".formatted(Math.round(s / 86_400.0));
    }
    return s < 3600
        ? "%d:%02d".formatted(s / 60, s % 60)
        : "%d:%02d:%02d".formatted(s / 3600, s / 60 % 60, s % 60);
  }
}
