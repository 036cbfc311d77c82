package dev.jneox.cli.train;

import dev.jneox.cli.LaunchCommand;
import dev.jneox.cli.Signals;
import dev.jneox.train.Trainer;
import java.io.PrintWriter;
import java.util.Map;
import java.util.concurrent.CompletableFuture;

/**
 * Turns SIGINT and SIGTERM into a request to the training to save and stop; a second ends the
 * process.
 *
 * <p>Signals within a quarter of a second count as one: a terminal sends SIGINT to this process and
 * to its wrapper (see {@code Relaunch}), which passes it on. After {@link #close} the JVM handles
 * the signals again, and ends the process at the first. The end of {@code launch} counts as a
 * SIGTERM to the processes that it has started.
 */
final class StopSignals implements AutoCloseable {
  /** Signals within this time count as one. */
  private static final long ONE_NANOS = 250_000_000;

  private static final int INT = 2;
  private static final int TERM = 15;

  private final Trainer trainer;
  private final PrintWriter err;
  private final Signals signals;
  private int exit;
  private long first;

  StopSignals(Trainer trainer, PrintWriter err) {
    this.trainer = trainer;
    this.err = err;
    this.signals = new Signals(Map.of("INT", INT, "TERM", TERM), this::received);
    String launcher = System.getenv().getOrDefault(LaunchCommand.LAUNCHER, "");
    if (launcher.matches("\\d{1,10}")) {
      ProcessHandle.of(Long.parseLong(launcher))
          .map(ProcessHandle::onExit)
          .orElse(CompletableFuture.completedFuture(null))
          .thenRun(() -> received(TERM));
    }
  }

  private synchronized void received(int signal) {
    if (exit == 0) {
      exit = 128 + signal;
      first = System.nanoTime();
      int last = trainer.stop();
      err.println(
          "interrupted: "
              + (trainer.saves(last) ? "saving" : "stopping")
              + " after step "
              + last
              + ", a second "
              + (signal == INT ? "Ctrl-C" : "signal")
              + " leaves at once");
      err.flush();
    } else if (System.nanoTime() - first > ONE_NANOS) {
      Runtime.getRuntime().halt(128 + signal);
    }
  }

  /** Returns 128 plus the number of the first signal, as shells do; 0 when there was none. */
  synchronized int exitCode() {
    return exit;
  }

  @Override
  public void close() {
    signals.close();
  }
}
