package dev.jneox.train;

import dev.jneox.torch.Collectives;
import dev.jneox.torch.Values;

/** Passes every operation to another group. */
class ForwardingCollectives implements Collectives {
  final Collectives group;

  ForwardingCollectives(Collectives group) {
    this.group = group;
  }

  @Override
  public Pending send(Values values, int to, int tag) {
    return group.send(values, to, tag);
  }

  @Override
  public Pending receive(Values values, int from, int tag) {
    return group.receive(values, from, tag);
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
    return group.allReduce(values, reduction);
  }

  @Override
  public Pending reduceScatter(Values whole, Values part) {
    return group.reduceScatter(whole, part);
  }

  @Override
  public Pending allGather(Values part, Values whole) {
    return group.allGather(part, whole);
  }

  @Override
  public Pending broadcast(Values values, int root) {
    return group.broadcast(values, root);
  }

  @Override
  public void barrier() {
    group.barrier();
  }

  @Override
  public void close() {
    group.close();
  }
}
