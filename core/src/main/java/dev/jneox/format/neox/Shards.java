package dev.jneox.format.neox;

import dev.jneox.model.Param;
import dev.jneox.model.Split;
import dev.jneox.weights.MappedTensor;
import dev.jneox.weights.RowOrder;
import dev.jneox.weights.TensorExpression;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Divides tensors among the ranks of tensor parallelism and merges them again, as their {@link
 * Split} says. Sums and means are taken in the stored type, as GPT-NeoX's own converter does.
 */
final class Shards {
  private Shards() {}

  /**
   * Returns the shape of each rank's part; null when the whole cannot be divided in whole units.
   */
  static long @Nullable [] shape(TensorExpression tensor, int ranks) {
    long[] shape = tensor.shape();
    long unit = (long) ranks * unit(tensor);
    switch (axis(tensor)) {
      case NONE, SUM -> {}
      case ROWS -> {
        if (runs(tensor).stream().anyMatch(rows -> rows % unit != 0)) {
          return null;
        }
        shape[0] /= ranks;
      }
      case COLUMNS -> {
        if (shape[1] % unit != 0) {
          return null;
        }
        shape[1] /= ranks;
      }
    }
    return shape;
  }

  private static Split.Axis axis(TensorExpression tensor) {
    return tensor.params().getFirst().split().axis();
  }

  /**
   * Returns how many rows or columns stay together; for rows ordered by head, a query's, a key's
   * and a value's.
   */
  private static int unit(TensorExpression tensor) {
    int unit = tensor.params().getFirst().split().unit();
    return tensor.order() instanceof RowOrder.ByHead ? unit * tensor.params().size() : unit;
  }

  /**
   * Returns the groups of rows that are divided separately: one per parameter, or all rows where
   * they are ordered by head.
   */
  private static List<Integer> runs(TensorExpression tensor) {
    return tensor.order().equals(RowOrder.CONCATENATED)
        ? tensor.params().stream().map(Param::rows).toList()
        : List.of(tensor.rows());
  }

  /** Merges parts in the order of their ranks; returns the part itself when there is only one. */
  static MappedTensor merged(TensorExpression tensor, List<MappedTensor> parts, Arena arena) {
    MappedTensor first = parts.getFirst();
    if (parts.size() == 1) {
      return first;
    }
    Split.Axis axis = axis(tensor);
    if (axis == Split.Axis.NONE && parts.stream().allMatch(part -> equal(first, part))) {
      return first;
    }
    MappedTensor whole =
        new MappedTensor(first.dtype(), arena.allocate(first.bytes(tensor.elements()), 64));
    switch (axis) {
      case ROWS, COLUMNS -> {
        for (int rank = 0; rank < parts.size(); rank++) {
          MappedTensor part = parts.get(rank);
          long at = 0;
          for (Run run : runs(tensor, rank, parts.size())) {
            copy(part, at, whole, run.from(), run.values());
            at += run.values();
          }
        }
      }
      case SUM -> sum(parts, whole);
      case NONE -> {
        sum(parts, whole);
        for (long i = 0; i < whole.size(); i++) {
          whole.set(i, whole.value(i) / parts.size());
        }
      }
    }
    return whole;
  }

  private static boolean equal(MappedTensor a, MappedTensor b) {
    if (a.data().mismatch(b.data()) < 0) {
      return true;
    }
    for (long i = 0; i < a.size(); i++) { // -0 and 0 are equal, a NaN is to nothing
      if (a.value(i) != b.value(i)) {
        return false;
      }
    }
    return true;
  }

  private static void sum(List<MappedTensor> parts, MappedTensor whole) {
    whole.data().copyFrom(parts.getFirst().data());
    for (MappedTensor part : parts.subList(1, parts.size())) {
      for (long i = 0; i < whole.size(); i++) {
        whole.set(i, whole.value(i) + part.value(i));
      }
    }
  }

  private static void copy(MappedTensor from, long at, MappedTensor to, long toAt, long n) {
    MemorySegment.copy(from.data(), from.bytes(at), to.data(), to.bytes(toAt), to.bytes(n));
  }

  /** Is a range of values of the whole that belongs to one rank. */
  private record Run(long from, long values) {}

  /** Lists the ranges of a tensor that belong to a rank, divided by rows or columns. */
  private static List<Run> runs(TensorExpression tensor, int rank, int ranks) {
    List<Run> all = new ArrayList<>();
    long columns = tensor.columns();
    if (axis(tensor) == Split.Axis.COLUMNS) {
      long part = columns / ranks;
      for (long row = 0; row < tensor.rows(); row++) {
        all.add(new Run(row * columns + rank * part, part));
      }
      return all;
    }
    long first = 0;
    for (int rows : runs(tensor)) {
      long part = rows / ranks;
      all.add(new Run((first + rank * part) * columns, part * columns));
      first += rows;
    }
    return all;
  }

  /** Returns the part of {@code whole} that belongs to a rank; in place where it is one range. */
  static MappedTensor part(
      TensorExpression tensor, MappedTensor whole, int rank, int ranks, Arena arena) {
    return switch (axis(tensor)) {
      case NONE -> whole;
      case SUM -> ranks == 1 ? whole : share(whole, rank, ranks, arena);
      case ROWS, COLUMNS -> {
        List<Run> runs = runs(tensor, rank, ranks);
        if (runs.size() == 1) {
          yield whole.slice(runs.getFirst().from(), runs.getFirst().values());
        }
        MappedTensor part =
            new MappedTensor(
                whole.dtype(), arena.allocate(whole.bytes(tensor.elements() / ranks), 64));
        long at = 0;
        for (Run run : runs) {
          copy(whole, run.from(), part, at, run.values());
          at += run.values();
        }
        yield part;
      }
    };
  }

  /**
   * Returns a rank's share, {@code whole / ranks}. The last rank gets the remainder, so that the
   * rounded shares sum to the whole exactly. (The remainder is exact by Sterbenz's lemma: the sum
   * of the others is between half of the whole and twice it.)
   */
  private static MappedTensor share(MappedTensor whole, int rank, int ranks, Arena arena) {
    MappedTensor share =
        new MappedTensor(whole.dtype(), arena.allocate(whole.data().byteSize(), 64));
    MappedTensor others =
        new MappedTensor(whole.dtype(), arena.allocate(whole.data().byteSize(), 64));
    for (long i = 0; i < whole.size(); i++) {
      share.set(i, whole.value(i) / ranks);
      if (rank == ranks - 1) {
        others.set(i, share.value(i));
        for (int other = 1; other < ranks - 1; other++) {
          others.set(i, others.value(i) + share.value(i));
        }
        share.set(i, whole.value(i) - others.value(i));
      }
    }
    return share;
  }
}
