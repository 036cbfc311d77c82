package dev.jneox.dist;

import dev.jneox.torch.Collectives;
import dev.jneox.torch.ForwardingCollectives;
import dev.jneox.torch.Values;

/** Tells the launcher in which operation of a group this process waits. */
final class WatchedCollectives extends ForwardingCollectives {
  private final Supervision supervision;

  WatchedCollectives(Collectives group, Supervision supervision) {
    super(group);
    this.supervision = supervision;
  }

  private void watch(String operation, Runnable wait) {
    supervision.waiting(operation + ", group " + name());
    wait.run();
    supervision.waiting("");
  }

  private Pending watched(String operation, Values values, Pending pending) {
    String what = operation + " of " + values.length() + " numbers";
    return () -> watch(what, pending::await);
  }

  @Override
  public Pending allReduce(Values values, Reduction reduction) {
    return watched("all-reduce", values, super.allReduce(values, reduction));
  }

  @Override
  public Pending reduceScatter(Values whole, Values part) {
    return watched("reduce-scatter", whole, super.reduceScatter(whole, part));
  }

  @Override
  public Pending allGather(Values part, Values whole) {
    return watched("all-gather", whole, super.allGather(part, whole));
  }

  @Override
  public Pending broadcast(Values values, int root) {
    return watched("broadcast", values, super.broadcast(values, root));
  }

  @Override
  public Pending send(Values values, int to, int tag) {
    return watched("send to rank " + to, values, super.send(values, to, tag));
  }

  @Override
  public Pending receive(Values values, int from, int tag) {
    return watched("receive from rank " + from, values, super.receive(values, from, tag));
  }

  @Override
  public void barrier() {
    watch("barrier", super::barrier);
  }
}
