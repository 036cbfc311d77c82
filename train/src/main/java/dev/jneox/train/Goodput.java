package dev.jneox.train;

import dev.jneox.dist.Supervision;
import dev.jneox.io.LaunchFolder;
import java.util.Optional;

/**
 * Measures which part of the time of a run went into steps that count, over all restarts since its
 * launch. Steps behind the checkpoint that a restart goes on from are lost, as is the time until it
 * computes again.
 */
public final class Goodput {
  private final Supervision supervision;
  private long start = System.nanoTime();
  private double productive;
  private double lost;
  private double copiedProductive;
  private double copiedAt;

  Goodput(Supervision supervision) {
    this.supervision = supervision;
  }

  /** Begins at the first step of this process, with {@code iteration} steps done before. */
  void begin(int iteration) {
    start = System.nanoTime();
    if (supervision.restarts() == 0 || supervision.folder().isEmpty()) {
      return;
    }
    Optional<LaunchFolder.Saved> save = supervision.folder().get().save(iteration);
    productive = save.map(LaunchFolder.Saved::productive).orElse(0.0);
    lost = save.map(LaunchFolder.Saved::lost).orElse(0.0);
    lost += elapsed() - save.map(LaunchFolder.Saved::at).orElse(0.0);
  }

  void step(double seconds) {
    productive += seconds;
  }

  /** Notes the moment whose state is being saved. */
  void copied() {
    copiedProductive = productive;
    copiedAt = elapsed();
  }

  /** Tells the next start of the run about a checkpoint. */
  void saved(int iteration) {
    supervision
        .folder()
        .ifPresent(
            folder ->
                folder.saved(new LaunchFolder.Saved(iteration, copiedProductive, lost, copiedAt)));
  }

  /** Returns how often the run was restarted since its launch. */
  public int restarts() {
    return supervision.restarts();
  }

  /** Returns the seconds since the launch; without a launcher, since the first step. */
  public double elapsed() {
    return supervision
        .folder()
        .map(LaunchFolder::elapsed)
        .orElseGet(() -> (System.nanoTime() - start) / 1e9);
  }

  /** Returns the seconds that failures have cost since the launch. */
  public double lostSeconds() {
    return lost;
  }

  /** Returns the share of the time that went into steps that count, from 0 to 1. */
  public double share() {
    double elapsed = elapsed();
    return elapsed > 0 ? Math.min(1, productive / elapsed) : 0;
  }
}
