package dev.jneox.torch;

import dev.jneox.io.CancelledException;
import dev.jneox.io.PeerException;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Queue;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;

/**
 * Exchanges numbers among threads of one process, each of which is a rank. Sums go from the first
 * rank to the last. Tests run layouts of several ranks on it.
 */
public final class ThreadCollectives implements Collectives {
  /** Holds what the ranks of one group give to each other. */
  public static final class Group {
    private final String name;
    private final int size;
    private final Map<Long, Exchange> exchanges = new HashMap<>();
    private final Map<Route, Queue<Tensor>> letters = new HashMap<>();
    private boolean broken;

    /** Makes a group, of which each thread takes its {@link #rank}. */
    public Group(String name, int size) {
      this.name = name;
      this.size = size;
    }

    /** Returns the group as one rank sees it. */
    public Collectives rank(int rank) {
      return new ThreadCollectives(this, Objects.checkIndex(rank, size));
    }

    private synchronized void arrive(long turn, int rank, List<Values> values, Combination then) {
      Exchange exchange = exchanges.computeIfAbsent(turn, _ -> new Exchange(size));
      exchange.values[rank] = values;
      if (++exchange.arrived == size) {
        try (PointerScope _ = new PointerScope();
            NoGradGuard _ = new NoGradGuard()) {
          then.combine(Arrays.asList(exchange.values));
        }
        exchange.done = true;
        notifyAll();
      }
    }

    private synchronized void awaitAll(long turn, ThreadCollectives waiting) {
      Exchange exchange = Objects.requireNonNull(exchanges.get(turn));
      while (!exchange.done) {
        pause(waiting);
      }
      if (++exchange.left == size) {
        exchanges.remove(turn);
      }
    }

    private synchronized void post(Route route, Tensor letter) {
      letters.computeIfAbsent(route, _ -> new ArrayDeque<>()).add(letter);
      notifyAll();
    }

    private synchronized Tensor take(Route route, ThreadCollectives waiting) {
      while (true) {
        @Nullable Queue<Tensor> queue = letters.get(route);
        @Nullable Tensor letter = queue == null ? null : queue.poll();
        if (letter != null) {
          return letter;
        }
        pause(waiting);
      }
    }

    private void pause(ThreadCollectives waiting) {
      if (broken) {
        throw new PeerException(
            "group " + name + ": rank " + waiting.rank + " waits for a rank that has left", null);
      }
      try {
        wait();
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new CancelledException(
            "group " + name + ": rank " + waiting.rank + " was stopped", e);
      }
    }

    private synchronized void leave() {
      broken = true;
      notifyAll();
    }
  }

  private record Route(int from, int to, int tag) {}

  private interface Combination {
    void combine(List<List<Values>> ofRanks);
  }

  private static final class Exchange {
    final List<Values>[] values;
    int arrived;
    int left;
    boolean done;

    @SuppressWarnings("unchecked")
    Exchange(int size) {
      values = (List<Values>[]) new List<?>[size];
    }
  }

  private final Group group;
  private final int rank;
  private long turn;

  private ThreadCollectives(Group group, int rank) {
    this.group = group;
    this.rank = rank;
  }

  @Override
  public String name() {
    return group.name;
  }

  @Override
  public int rank() {
    return rank;
  }

  @Override
  public int size() {
    return group.size;
  }

  private Pending together(List<Values> values, Combination combination) {
    long mine = turn++;
    group.arrive(mine, rank, values, combination);
    return () -> group.awaitAll(mine, this);
  }

  private static Tensor reduced(List<Tensor> values, Reduction reduction) {
    Tensor result = values.getFirst().clone();
    for (Tensor next : values.subList(1, values.size())) {
      result =
          switch (reduction) {
            case SUM -> result.add_(next);
            case MAX -> torch.maximum(result, next);
          };
    }
    return result;
  }

  @Override
  public Pending allReduce(Values values, Reduction reduction) {
    return together(
        List.of(values),
        all -> {
          List<Tensor> tensors = all.stream().map(one -> one.getFirst().tensor).toList();
          Tensor result = reduced(tensors, reduction);
          tensors.forEach(tensor -> tensor.copy_(result));
        });
  }

  @Override
  public Pending reduceScatter(Values whole, Values part) {
    return together(
        List.of(whole, part),
        all -> {
          Tensor sum =
              reduced(all.stream().map(one -> one.getFirst().tensor).toList(), Reduction.SUM);
          for (int r = 0; r < all.size(); r++) {
            Values into = all.get(r).get(1);
            into.tensor.copy_(sum.narrow(0, r * into.length(), into.length()));
          }
        });
  }

  @Override
  public Pending allGather(Values part, Values whole) {
    return together(
        List.of(part, whole),
        all -> {
          for (List<Values> into : all) {
            for (int r = 0; r < all.size(); r++) {
              Values from = all.get(r).getFirst();
              into.get(1).tensor.narrow(0, r * from.length(), from.length()).copy_(from.tensor);
            }
          }
        });
  }

  @Override
  public Pending broadcast(Values values, int root) {
    return together(
        List.of(values),
        all -> {
          Tensor from = all.get(root).getFirst().tensor;
          for (int r = 0; r < all.size(); r++) {
            if (r != root) {
              all.get(r).getFirst().tensor.copy_(from);
            }
          }
        });
  }

  @Override
  public Pending send(Values values, int to, int tag) {
    try (PointerScope _ = new PointerScope()) {
      group.post(new Route(rank, to, tag), values.tensor.clone().retainReference());
    }
    return () -> {};
  }

  @Override
  public Pending receive(Values values, int from, int tag) {
    return () -> {
      try (Tensor letter = group.take(new Route(from, rank, tag), this);
          NoGradGuard _ = new NoGradGuard()) {
        values.tensor.copy_(letter);
      }
    };
  }

  @Override
  public void barrier() {
    together(List.of(), _ -> {}).await();
  }

  @Override
  public void close() {
    if (group.size > 1) {
      group.leave();
    }
  }
}
