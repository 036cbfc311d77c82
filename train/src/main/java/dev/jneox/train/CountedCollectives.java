package dev.jneox.train;

import dev.jneox.torch.Collectives;
import dev.jneox.torch.ForwardingCollectives;
import dev.jneox.torch.Values;

/**
 * Counts the exchanges of a group: how long the caller waits for the other ranks, and the bytes
 * that it sends, as Gloo sends them. Of {@code n} ranks each sends {@code 2 (n-1)/n S} in the
 * all-reduce of {@code S} bytes, which is Gloo's reduce-scatter too, and {@code (n-1) S} of its
 * part of {@code S} bytes in an all-gather.
 */
final class CountedCollectives extends ForwardingCollectives {
  private final Traffic traffic;

  CountedCollectives(Collectives group, Traffic traffic) {
    super(group);
    this.traffic = traffic;
  }

  /**
   * Counts an exchange from now until it is awaited.
   *
   * @param sent bytes that this rank sends
   */
  private Pending counted(StepTrace.Span span, double sent, Pending pending) {
    long begun = System.nanoTime();
    traffic.sent(sent);
    return () -> {
      long start = System.nanoTime();
      pending.await();
      traffic.waited(start);
      traffic.trace().add(span, begun, Math.round(sent));
    };
  }

  private double ofAllReduce(Values values) {
    return 2.0 * (size() - 1) / size() * values.bytes();
  }

  @Override
  public Pending allReduce(Values values, Reduction reduction) {
    double sent = ofAllReduce(values);
    return counted(StepTrace.Span.ALL_REDUCE, sent, super.allReduce(values, reduction));
  }

  @Override
  public Pending reduceScatter(Values whole, Values part) {
    double sent = ofAllReduce(whole);
    return counted(StepTrace.Span.REDUCE_SCATTER, sent, super.reduceScatter(whole, part));
  }

  @Override
  public Pending allGather(Values part, Values whole) {
    double sent = (size() - 1.0) * part.bytes();
    return counted(StepTrace.Span.ALL_GATHER, sent, super.allGather(part, whole));
  }

  @Override
  public Pending broadcast(Values values, int root) {
    double sent = rank() == root ? values.bytes() : 0; // the others pass it on
    return counted(StepTrace.Span.BROADCAST, sent, super.broadcast(values, root));
  }

  @Override
  public Pending send(Values values, int to, int tag) {
    return counted(StepTrace.Span.SEND, values.bytes(), super.send(values, to, tag));
  }

  @Override
  public Pending receive(Values values, int from, int tag) {
    return counted(StepTrace.Span.RECEIVE, 0, super.receive(values, from, tag));
  }

  @Override
  public void barrier() {
    long start = System.nanoTime();
    super.barrier();
    traffic.waited(start);
    traffic.trace().add(StepTrace.Span.BARRIER, start, 0);
  }
}
