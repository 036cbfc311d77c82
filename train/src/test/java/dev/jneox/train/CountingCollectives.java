package dev.jneox.train;

import dev.jneox.torch.Collectives;
import dev.jneox.torch.ForwardingCollectives;
import dev.jneox.torch.Values;
import java.util.concurrent.atomic.AtomicLong;

/** Counts the numbers that are reduced. */
final class CountingCollectives extends ForwardingCollectives {
  private final AtomicLong numbers;

  CountingCollectives(Collectives group, AtomicLong numbers) {
    super(group);
    this.numbers = numbers;
  }

  @Override
  public Pending allReduce(Values values, Reduction reduction) {
    numbers.addAndGet(values.length());
    return super.allReduce(values, reduction);
  }
}
