package dev.jneox.train;

import dev.jneox.torch.Collectives;
import dev.jneox.torch.Device;
import dev.jneox.torch.FlatTensor;
import dev.jneox.torch.Values;

/**
 * Ends a send only when the other rank has received it, as Gloo does, so that stages which wait for
 * each other are found.
 */
final class RendezvousSends implements Collectives {
  private static final int ACKNOWLEDGED = 1 << 20; // added to tags

  private final Collectives group;

  RendezvousSends(Collectives group) {
    this.group = group;
  }

  @Override
  public Pending send(Values values, int to, int tag) {
    group.send(values, to, tag);
    return () -> exchange(false, to, tag + ACKNOWLEDGED);
  }

  @Override
  public Pending receive(Values values, int from, int tag) {
    Pending pending = group.receive(values, from, tag);
    return () -> {
      pending.await();
      exchange(true, from, tag + ACKNOWLEDGED);
    };
  }

  private void exchange(boolean send, int other, int tag) {
    try (FlatTensor one = FlatTensor.zeros(Device.CPU, 1);
        Values values = Values.of(one, 0, 1)) {
      (send ? group.send(values, other, tag) : group.receive(values, other, tag)).await();
    }
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
