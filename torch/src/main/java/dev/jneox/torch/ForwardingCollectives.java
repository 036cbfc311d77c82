package dev.jneox.torch;

/** Passes every operation to another group; a subclass changes what it looks at. */
public abstract class ForwardingCollectives implements Collectives {
  private final Collectives group;

  /** Passes operations to a group. */
  protected ForwardingCollectives(Collectives group) {
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
