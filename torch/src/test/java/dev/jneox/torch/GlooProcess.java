package dev.jneox.torch;

import dev.jneox.io.JneoxException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/** A rank in a process of its own, which prints the results of every operation. */
final class GlooProcess {
  private static final int N = 6;

  private GlooProcess() {}

  /** Arguments: what to do, port, rank, size. */
  public static void main(String[] args) {
    int port = Integer.parseInt(args[1]);
    int rank = Integer.parseInt(args[2]);
    int size = Integer.parseInt(args[3]);
    try (Rendezvous met =
            Rendezvous.join(
                "127.0.0.1", port, rank, size, Duration.ofSeconds(20), Duration.ofSeconds(3));
        Collectives all = met.group("data", IntStream.range(0, size).boxed().toList())) {
      switch (args[0]) {
        case "all" -> {
          everything(all);
          List<Integer> pair = rank % 2 == 0 ? List.of(0, 2) : List.of(1, 3);
          if (size == 4) {
            try (Collectives half = met.group("tensor", pair)) {
              double[] sum = reduced(half, Collectives.Reduction.SUM, rank);
              System.out.println("half " + half.rank() + " " + Arrays.toString(sum));
            }
          }
        }
        case "die" -> {
          all.barrier();
          if (rank == 1) {
            Runtime.getRuntime().halt(9);
          }
          reduced(all, Collectives.Reduction.SUM, rank);
        }
        case "hang" -> {
          all.barrier();
          if (rank == 1) {
            Thread.sleep(6_000);
          }
          reduced(all, Collectives.Reduction.SUM, rank);
        }
        default -> throw new IllegalArgumentException(args[0]);
      }
    } catch (JneoxException e) {
      System.out.println("failed: " + e.getMessage());
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
    System.out.flush();
    Runtime.getRuntime().halt(0);
  }

  private static double[] reduced(Collectives group, Collectives.Reduction how, int rank) {
    try (Arena arena = Arena.ofShared()) {
      MemorySegment memory = doubles(arena, rank);
      try (Values values = Values.doubles(memory)) {
        group.allReduce(values, how).await();
      }
      return memory.toArray(ValueLayout.JAVA_DOUBLE);
    }
  }

  private static MemorySegment doubles(Arena arena, int rank) {
    return arena.allocateFrom(
        ValueLayout.JAVA_DOUBLE,
        IntStream.range(0, 4 * N).mapToDouble(i -> i + 100 * rank).toArray());
  }

  private static void everything(Collectives group) {
    int rank = group.rank();
    int size = group.size();
    for (Collectives.Reduction how : Collectives.Reduction.values()) {
      System.out.println(how + " " + Arrays.toString(reduced(group, how, rank)));
    }
    try (Arena arena = Arena.ofShared()) {
      MemorySegment memory = doubles(arena, rank);
      long part = memory.byteSize() / size;
      try (Values whole = Values.doubles(memory);
          Values mine = Values.doubles(memory.asSlice(rank * part, part))) {
        group.reduceScatter(whole, mine).await();
        group.allGather(mine, whole).await();
        System.out.println("gathered " + Arrays.toString(memory.toArray(ValueLayout.JAVA_DOUBLE)));
        whole.tensor.add_(new org.bytedeco.pytorch.Scalar(1.0 * rank));
        group.broadcast(whole, 1).await();
        System.out.println("from 1 " + memory.get(ValueLayout.JAVA_DOUBLE, 0));
        Collectives.Pending sent = group.send(whole, (rank + 1) % size, 7);
        try (Values other = Values.doubles(arena.allocate(memory.byteSize(), 8))) {
          group.receive(other, (rank + size - 1) % size, 7).await();
          System.out.println("received " + other.tensor.sum().item_double());
        }
        sent.await();
      }
      group.barrier();
    }
  }
}
