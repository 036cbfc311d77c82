package dev.jneox.train;

import dev.jneox.torch.Collectives;
import dev.jneox.torch.Values;
import java.util.function.LongConsumer;

/** Measures how long the caller waits for the other ranks of a group. */
final class TimedCollectives implements Collectives {
  private final Collectives group;
  private final LongConsumer waited;

  /**
   * Measures a group.
   *
   * @param waited gets the nanoseconds of each wait
   */
  TimedCollectives(Collectives group, LongConsumer waited) {
    this.group = group;
    this.waited = waited;
  }

  private void time(Runnable wait) {
    long start = System.nanoTime();
    wait.run();
    waited.accept(System.nanoTime() - start);
  }

  private Pending timed(Pending pending) {
    return () -> time(pending::await);
  }

  @Override
  public String name() {
    return group.name();
  }

  @Override
  public int rank() {
    return group.rank();
  }

  @Override
  public int size() {
    return group.size();
  }

  @Override
  public Pending allReduce(Values values, Reduction reduction) {
    return timed(group.allReduce(values, reduction));
  }

  @Override
  public Pending reduceScatter(Values whole, Values part) {
    return timed(group.reduceScatter(whole, part));
  }

  @Override
  public Pending allGather(Values part, Values whole) {
    return timed(group.allGather(part, whole));
  }

  @Override
  public Pending broadcast(Values values, int root) {
    return timed(group.broadcast(values, root));
  }

  @Override
  public Pending send(Values values, int to, int tag) {
    return timed(group.send(values, to, tag));
  }

  @Override
  public Pending receive(Values values, int from, int tag) {
    return timed(group.receive(values, from, tag));
  }

  @Override
  public void barrier() {
    time(group::barrier);
  }

  @Override
  public void close() {
    group.close();
  }
}
