package dev.jneox.train;

import dev.jneox.torch.Collectives;

/** Counts what this rank exchanges with others: the time that it waits, and the bytes it sends. */
final class Traffic {
  private final StepTrace trace = new StepTrace();
  private long waited;
  private double sent;

  /** Returns a group whose exchanges are counted. */
  Collectives counted(Collectives group) {
    return group.size() == 1 ? group : new CountedCollectives(group, this);
  }

  StepTrace trace() {
    return trace;
  }

  /** Counts a wait that began at {@code start}, by {@link System#nanoTime}. */
  void waited(long start) {
    waited += System.nanoTime() - start;
    trace.add(StepTrace.Span.WAIT, start, 0);
  }

  void sent(double bytes) {
    sent += bytes;
  }

  /** Returns the seconds that this rank waited for others since the last call. */
  double waitedSeconds() {
    double seconds = waited / 1e9;
    waited = 0;
    return seconds;
  }

  /** Returns the bytes that this rank sent since the last call. */
  double sentBytes() {
    double bytes = sent;
    sent = 0;
    return bytes;
  }
}
