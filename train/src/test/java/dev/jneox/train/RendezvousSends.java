package dev.jneox.train;

import dev.jneox.torch.Collectives;
import dev.jneox.torch.Device;
import dev.jneox.torch.FlatTensor;
import dev.jneox.torch.ForwardingCollectives;
import dev.jneox.torch.Values;

/**
 * Ends a send only when the other rank has received it, as Gloo does, so that stages which wait for
 * each other are found.
 */
final class RendezvousSends extends ForwardingCollectives {
  private static final int ACKNOWLEDGED = 1 << 20; // added to tags

  RendezvousSends(Collectives group) {
    super(group);
  }

  @Override
  public Pending send(Values values, int to, int tag) {
    super.send(values, to, tag);
    return () -> exchange(false, to, tag + ACKNOWLEDGED);
  }

  @Override
  public Pending receive(Values values, int from, int tag) {
    Pending pending = super.receive(values, from, tag);
    return () -> {
      pending.await();
      exchange(true, from, tag + ACKNOWLEDGED);
    };
  }

  private void exchange(boolean send, int other, int tag) {
    try (FlatTensor one = FlatTensor.zeros(Device.CPU, 1);
        Values values = Values.of(one, 0, 1)) {
      (send ? super.send(values, other, tag) : super.receive(values, other, tag)).await();
    }
  }
}
