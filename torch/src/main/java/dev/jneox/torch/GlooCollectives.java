package dev.jneox.torch;

import dev.jneox.io.PeerException;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AllreduceOptions;
import org.bytedeco.pytorch.BroadcastOptions;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.ProcessGroupGloo;
import org.bytedeco.pytorch.ReduceOp;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.Work;
import org.jspecify.annotations.Nullable;

/**
 * Exchanges numbers among processes through Gloo, libtorch's collectives for the CPU over TCP.
 * Reductions go round a ring, each part from the same rank on, so that sums have the same bits on
 * every rank and in every run.
 */
final class GlooCollectives implements Collectives {
  private final String name;
  private final int rank;
  private final int size;
  private final ProcessGroupGloo processes;

  GlooCollectives(String name, int rank, int size, ProcessGroupGloo processes) {
    this.name = name;
    this.rank = rank;
    this.size = size;
    this.processes = processes;
  }

  /** Begins an operation of Gloo; the caller's scope closes what it makes. */
  private interface Operation {
    Work begin();
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public int rank() {
    return rank;
  }

  @Override
  public int size() {
    return size;
  }

  /** Begins an operation and keeps its {@code Work} until it is awaited. */
  private Pending begin(String what, Operation operation, @Nullable Runnable then) {
    Work work;
    try (PointerScope _ = new PointerScope()) {
      work = operation.begin().retainReference();
    } catch (RuntimeException e) {
      throw failed(what, e);
    }
    return new Pending() {
      private boolean awaited;

      @Override
      public void await() {
        if (awaited) {
          return;
        }
        awaited = true;
        try (Work ended = work;
            PointerScope _ = new PointerScope();
            NoGradGuard _ = new NoGradGuard()) {
          ended._wait();
          if (then != null) {
            then.run();
          }
        } catch (RuntimeException e) {
          throw failed(what, e);
        }
      }
    };
  }

  private PeerException failed(String what, RuntimeException e) {
    return new PeerException(
        "group %s: rank %d of %d: %s: another rank is gone or does not answer (%s)"
            .formatted(name, rank, size, what, reason(e)),
        e);
  }

  /** Returns the first line of an error of libtorch, without the place in its source. */
  static String reason(RuntimeException e) {
    String message = String.valueOf(e.getMessage());
    return message.lines().findFirst().orElse("").replaceFirst("^(\\[[^\\]]*\\]\\s*)+", "");
  }

  private static String of(String operation, Values values) {
    return "%s of %,d numbers".formatted(operation, values.length());
  }

  @Override
  public Pending allReduce(Values values, Reduction reduction) {
    return begin(of("all-reduce", values), () -> reduce(values, reduction), null);
  }

  private Work reduce(Values values, Reduction reduction) {
    ReduceOp.RedOpType type =
        switch (reduction) {
          case SUM -> ReduceOp.RedOpType.SUM;
          case MAX -> ReduceOp.RedOpType.MAX;
        };
    return processes.allreduce(
        new TensorVector(values.tensor), new AllreduceOptions().reduceOp(new ReduceOp(type)));
  }

  /** Gloo has no reduce-scatter: c10d makes one of an all-reduce over a copy of the values. */
  @Override
  public Pending reduceScatter(Values whole, Values part) {
    long n = part.length();
    return begin(
        of("reduce-scatter", whole),
        () -> reduce(whole, Reduction.SUM),
        () -> {
          Tensor mine = whole.tensor.narrow(0, rank * n, n);
          if (mine.data_ptr().address() != part.tensor.data_ptr().address()) {
            part.tensor.copy_(mine);
          }
        });
  }

  @Override
  public Pending allGather(Values part, Values whole) {
    return begin(
        of("all-gather", whole), () -> processes._allgather_base(whole.tensor, part.tensor), null);
  }

  @Override
  public Pending broadcast(Values values, int root) {
    return begin(
        of("broadcast", values),
        () ->
            processes.broadcast(
                new TensorVector(values.tensor), new BroadcastOptions().rootRank(root)),
        null);
  }

  @Override
  public Pending send(Values values, int to, int tag) {
    return begin(
        of("send to rank " + to, values),
        () -> processes.send(new TensorVector(values.tensor), to, tag),
        null);
  }

  @Override
  public Pending receive(Values values, int from, int tag) {
    return begin(
        of("receive from rank " + from, values),
        () -> processes.recv(new TensorVector(values.tensor), from, tag),
        null);
  }

  @Override
  public void barrier() {
    begin("barrier", processes::barrier, null).await();
  }

  @Override
  public void close() {
    processes.close();
  }
}
