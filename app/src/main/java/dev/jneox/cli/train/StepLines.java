package dev.jneox.cli.train;

import dev.jneox.cli.ProgressLine;
import dev.jneox.cli.Screen;
import dev.jneox.io.ByteSize;
import dev.jneox.train.Goodput;
import dev.jneox.train.StepWindow;
import dev.jneox.train.Trainer;
import dev.jneox.train.TrainingCallback;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.OptionalInt;
import java.util.function.Predicate;
import java.util.function.Supplier;
import java.util.stream.Collectors;

/** Prints a line for every {@code log_interval} iterations of a run, with their mean values. */
class StepLines implements TrainingCallback {
  /** A step that takes longer gets a line while it runs. */
  private static final long PATIENCE_NANOS = 20_000_000_000L;

  /** Seconds after which a running step gets a status line on a terminal. */
  private static final double TERMINAL_PATIENCE = 2;

  /** Steps whose mean time gives the estimate of the remaining time. */
  private static final int LATEST = 50;

  private final PrintWriter out;
  private final int every;
  private final int iterations;
  private final double gemmRate;
  private final Supplier<OptionalInt> screenWidth;
  private final StepWindow window = new StepWindow();
  private final Predicate<String> status;
  private final ArrayDeque<Double> latest = new ArrayDeque<>(); // seconds of a step
  private boolean warm;
  private long told = System.nanoTime();
  private boolean shown;
  private boolean begun; // has printed the line of a step
  private int width = Integer.MAX_VALUE; // of the lines before
  private int leftOut; // columns that those lacked

  /**
   * Prints lines that fit the terminal.
   *
   * @param every iterations per line
   * @param iterations of the whole run
   * @param gemmRate FLOP/s of this machine's matrix products; a line has the training's share of it
   */
  StepLines(PrintWriter out, int every, int iterations, double gemmRate) {
    this(out, every, iterations, gemmRate, Screen::outputWidth, ProgressLine::status);
  }

  /**
   * Prints lines of a given width.
   *
   * @param every iterations per line
   * @param iterations of the whole run
   * @param gemmRate FLOP/s of this machine's matrix products
   * @param screenWidth columns that a line may have; empty for any number, as in a file
   * @param status shows a line that the next one replaces; returns false where there is no terminal
   */
  StepLines(
      PrintWriter out,
      int every,
      int iterations,
      double gemmRate,
      Supplier<OptionalInt> screenWidth,
      Predicate<String> status) {
    this.status = status;
    this.out = out;
    this.every = every;
    this.iterations = iterations;
    this.gemmRate = gemmRate;
    this.screenWidth = screenWidth;
  }

  /**
   * Holds a column of the line.
   *
   * @param rank order of leaving out where the line is too long: the highest first, 0 never
   * @param shown whether it is printed, or only has its place kept
   */
  private record Column(int rank, String text, boolean shown) {
    static Column of(int rank, String format, Object... values) {
      return new Column(rank, String.format(Locale.ROOT, format, values), true);
    }
  }

  @Override
  public void afterStep(Trainer trainer, Trainer.Step step) {
    clear();
    window.add(step);
    remember(step.seconds());
    int n = step.iteration();
    if (n % every != 0 && n != iterations && begun) {
      return;
    }
    begun = true;
    out.println(fitted(columns(step, window.take())));
    out.flush();
    told = System.nanoTime();
  }

  /** Adds the time of a step. The first step, which is slower, is removed with the second. */
  private void remember(double seconds) {
    if (!warm && latest.size() == 1) {
      latest.clear();
      warm = true;
    }
    latest.add(seconds);
    if (latest.size() > LATEST) {
      latest.remove();
    }
  }

  private List<Column> columns(Trainer.Step step, StepWindow.Summary summary) {
    List<Column> columns = new ArrayList<>();
    int n = step.iteration();
    columns.add(
        Column.of(0, "step %" + Integer.toString(iterations).length() + "d/%d", n, iterations));
    columns.add(
        Column.of(
            0,
            "loss %7s",
            summary.loss().isEmpty()
                ? "skipped"
                : String.format(Locale.ROOT, "%.4f", summary.loss().getAsDouble())));
    columns.add(Column.of(4, "lr %.2e", step.lr()));
    columns.add(Column.of(3, "grad norm %6.3f", step.gradientNorm()));
    columns.add(Column.of(2, "%,7.0f tokens/s", summary.tokensPerSecond()));
    double flops = summary.flopsPerSecond();
    if (flops > 0) {
      columns.add(new Column(5, rate(flops), true));
      // A share above 100 % means that other programs ran while the rate was measured.
      columns.add(Column.of(6, "%2.0f%% of GEMM", 100 * flops / gemmRate));
    }
    if (summary.sentBytes() > 0) {
      columns.add(Column.of(6, "%s sent", ByteSize.text(Math.round(summary.sentBytes()))));
    }
    if (summary.waiting() > 0) {
      columns.add(Column.of(4, "%2.0f%% waiting", 100 * summary.waiting()));
    }
    double mean = latest.stream().mapToDouble(Double::doubleValue).average().orElse(0);
    String eta = "ETA " + clock(mean * (iterations - n));
    // The first step, which warms up, says nothing of the others: it keeps their place alone.
    columns.add(new Column(1, eta, warm || n == iterations));
    if (summary.skipped() > 0) {
      columns.add(Column.of(0, "%d skipped, loss scale %.0f", summary.skipped(), step.lossScale()));
    }
    return columns;
  }

  /** Formats a rate in the largest unit in which it is at least 1. */
  private static String rate(double flopsPerSecond) {
    return flopsPerSecond >= 1e12
        ? String.format(Locale.ROOT, "%.2f TFLOP/s", flopsPerSecond / 1e12)
        : flopsPerSecond >= 1e9
            ? String.format(Locale.ROOT, "%.1f GFLOP/s", flopsPerSecond / 1e9)
            : String.format(Locale.ROOT, "%.1f MFLOP/s", flopsPerSecond / 1e6);
  }

  /**
   * Leaves out columns until the line fits the screen; {@code metrics.csv} has them all. What one
   * line has left out the next ones lack too, as long as the screen stays as wide.
   */
  private String fitted(List<Column> columns) {
    int now = screenWidth.get().orElse(Integer.MAX_VALUE);
    leftOut = now == width ? leftOut : 0;
    width = now;
    List<Column> left = new ArrayList<>(columns);
    for (int n = 0;
        (n < leftOut || joined(left).length() > width)
            && left.stream().anyMatch(column -> column.rank > 0);
        n++) {
      left.remove(Collections.max(left, Comparator.comparingInt(Column::rank)));
      leftOut = Math.max(leftOut, n + 1);
    }
    left.removeIf(column -> !column.shown);
    return joined(left);
  }

  private static String joined(List<Column> columns) {
    return columns.stream().map(Column::text).collect(Collectors.joining(" | "));
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

  /** Erases the status line of a running step before another line is printed. */
  private void clear() {
    if (shown) {
      var _ = status.test("");
      shown = false;
    }
  }

  /** Tells of the whole launch, where a launcher watches. */
  @Override
  public void atEnd(Trainer trainer) {
    Goodput goodput = trainer.goodput();
    if (trainer.isLaunched()) {
      noted(
          String.format(
              Locale.ROOT,
              "goodput %.0f%% of %s, %s lost in %d restart%s",
              100 * goodput.share(),
              clock(goodput.elapsed()),
              clock(goodput.lostSeconds()),
              goodput.restarts(),
              goodput.restarts() == 1 ? "" : "s"));
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

  /** Formats seconds as {@code 2:03}, {@code 1:02:03} or, from three days on, {@code 12 days}. */
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
