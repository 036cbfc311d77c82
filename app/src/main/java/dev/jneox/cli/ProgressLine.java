package dev.jneox.cli;

import dev.jneox.io.Progress;
import dev.jneox.io.VisibleText;
import java.io.PrintStream;
import java.time.Duration;
import java.util.Locale;
import me.tongfei.progressbar.ConsoleProgressBarConsumer;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;
import org.jspecify.annotations.Nullable;

/**
 * Shows progress on standard error: done, total, rate and the time left. On a terminal it is a
 * moving bar, elsewhere one plain line every ten seconds; {@link #close} leaves a plain last line,
 * unless the operation had nothing to do.
 *
 * <pre>{@code
 * try (Progress progress = ProgressLine.of("training", "steps", 1000)) {
 *   for (...) {
 *     progress.step(1);
 *   }
 * }
 * }</pre>
 */
public final class ProgressLine extends Progress {
  private static final Duration INTERVAL = Duration.ofSeconds(10);
  private static final long MB = 1_000_000;

  private final String task;
  private final String unit;
  private final long unitSize;
  private final PrintStream out;
  private final boolean terminal;
  private volatile @Nullable ProgressBar bar; // once there is something to show
  private final @Nullable Thread ticker;
  private volatile String note = "";
  private boolean closed;

  /**
   * An operation of {@code total} units, for example 1000 "steps"; a total below zero means that it
   * is unknown.
   */
  public static Progress of(String task, String unit, long total) {
    return new ProgressLine(task, unit, 1, total, System.err, Screen.isError(), INTERVAL);
  }

  /**
   * An operation counted in bytes and shown in megabytes of 10^6; a total below zero means that it
   * is unknown.
   */
  public static Progress bytes(String task, long total) {
    return new ProgressLine(task, "MB", MB, total, System.err, Screen.isError(), INTERVAL);
  }

  /**
   * Prints a line of its own to standard error; on a terminal it takes the line of a bar, which
   * moves on below.
   */
  static void line(String line) {
    System.err.println(Screen.isError() ? "\r\033[K" + line : line);
  }

  /**
   * Shows a line that the next one takes the place of, where standard error is a terminal; an empty
   * one leaves nothing.
   *
   * @return false where it is no terminal, and nothing was shown
   */
  public static boolean status(String line) {
    boolean terminal = Screen.isError();
    if (terminal) {
      System.err.print("\r\033[K" + line);
      System.err.flush();
    }
    return terminal;
  }

  ProgressLine(
      String task,
      String unit,
      long unitSize,
      long total,
      PrintStream out,
      boolean terminal,
      Duration interval) {
    super(total);
    this.task = VisibleText.line(task);
    this.unit = unit;
    this.unitSize = unitSize;
    this.out = out;
    this.terminal = out != null && terminal;
    if (this.terminal && total >= 0) {
      bar = bar();
    }
    this.ticker =
        out != null && !terminal
            ? Thread.ofPlatform().daemon().name("progress").start(() -> tick(interval))
            : null;
  }

  @Override
  public void step(long n) {
    super.step(n);
    if (terminal) {
      shown().stepBy(n);
    }
  }

  @Override
  public synchronized void total(long total) {
    super.total(total);
    if (terminal) {
      shown().maxHint(total);
    }
  }

  @Override
  public void note(String note) {
    this.note = VisibleText.line(note);
    if (terminal) {
      shown().setExtraMessage(" " + this.note);
    }
  }

  /** Ends the operation and leaves its last line. */
  @Override
  public synchronized void close() {
    if (closed) {
      return;
    }
    closed = true;
    if (bar != null) {
      bar.close();
      out.print("\r\033[K");
      out.flush();
    }
    if (ticker != null) {
      ticker.interrupt();
    }
    if (out != null && (total() > 0 || done() > 0)) {
      out.println(line(done(), seconds(), true));
    }
  }

  private void tick(Duration interval) {
    try {
      while (true) {
        Thread.sleep(interval);
        synchronized (this) {
          if (closed) {
            return;
          }
          out.println(line(done(), seconds(), false));
        }
      }
    } catch (InterruptedException e) {
      // Closed: the last line is the closer's.
    }
  }

  /** One line of the plain form: {@code reading: 12.0/96.0 MB (12%), 3.1 MB/s, ETA 0:27}. */
  String line(long done, double seconds, boolean last) {
    long total = total();
    boolean small = isSmall(Math.max(total, done));
    long size = small ? MB / 1000 : unitSize;
    String unit = small ? "kB" : this.unit;
    StringBuilder line = new StringBuilder(task).append(": ").append(amount(done, size));
    if (total >= 0 && !(last && done == total)) {
      line.append('/').append(amount(total, size));
    }
    line.append(' ').append(unit);
    if (total > 0 && done < total) {
      line.append(String.format(Locale.ROOT, " (%d%%)", 100 * done / total));
    }
    if (seconds > 0 && done > 0) {
      line.append(", ")
          .append(rate(done / (double) size / seconds))
          .append(' ')
          .append(unit)
          .append("/s");
    }
    if (last) {
      line.append(", took ").append(clock(seconds));
    } else if (total >= done && done > 0) {
      line.append(", ETA ").append(clock(seconds * (total - done) / done));
    } else if (total < 0) {
      line.append(", running for ").append(clock(seconds));
    }
    return note.isEmpty() ? line.toString() : line.append(", ").append(note).toString();
  }

  /** Whether that many units are bytes which megabytes would round away; no for unknown ones. */
  private boolean isSmall(long units) {
    return unitSize == MB && units >= 0 && units < MB;
  }

  private static String amount(long value, long size) {
    return size == 1
        ? String.format(Locale.ROOT, "%,d", value)
        : String.format(Locale.ROOT, "%,.1f", value / (double) size);
  }

  private static String rate(double value) {
    return String.format(Locale.ROOT, value < 10 ? "%.2f" : value < 1000 ? "%.1f" : "%,.0f", value);
  }

  private static String clock(double seconds) {
    long s = Math.round(seconds);
    return s < 3600
        ? String.format(Locale.ROOT, "%d:%02d", s / 60, s % 60)
        : String.format(Locale.ROOT, "%d:%02d:%02d", s / 3600, s / 60 % 60, s % 60);
  }

  /** Returns the bar; makes it late where the total is not known from the start. */
  private ProgressBar shown() {
    ProgressBar known = bar;
    if (known == null) {
      synchronized (this) {
        known = bar == null ? bar() : bar;
        bar = known;
      }
    }
    return known;
  }

  private ProgressBar bar() {
    boolean small = isSmall(total());
    return new ProgressBarBuilder()
        .setTaskName(task)
        .setInitialMax(total())
        .setUnit(" " + (small ? "kB" : unit), small ? MB / 1000 : unitSize)
        .setStyle(ProgressBarStyle.ASCII)
        .setConsumer(
            new ConsoleProgressBarConsumer(out) {
              @Override
              public void close() {
                // No line end: ours takes the place of the bar. It is not called after a short act.
              }
            })
        .setUpdateIntervalMillis(250)
        .showSpeed()
        .build();
  }
}
