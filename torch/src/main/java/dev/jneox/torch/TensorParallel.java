package dev.jneox.torch;

import dev.jneox.torch.Collectives.Reduction;
import java.util.Arrays;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;

/**
 * Completes what one rank computes from its part of each matrix (Shoeybi et al. 2019,
 * arXiv:1909.08053). Its results are equal on all ranks of the group.
 *
 * <p>A branch of a block begins with column-parallel layers, of whose outputs each rank has some
 * columns, and ends with a row-parallel one, whose output is the sum over ranks. Backwards it is
 * the gradient of the branch's input that is the sum over ranks. Embedding and head are divided by
 * rows of the vocabulary.
 */
public final class TensorParallel {
  /** A group of one rank, which has whole matrices: there is nothing to complete. */
  public static final TensorParallel ALONE = new TensorParallel(Collectives.ALONE);

  private final Collectives group;

  /** Makes the operations of one rank, whose place in the vocabulary is that in the group. */
  public TensorParallel(Collectives group) {
    this.group = group;
  }

  /** Returns whether this rank has whole matrices. */
  public boolean isAlone() {
    return group.size() == 1;
  }

  /** Replaces each number by its sum over ranks. */
  public void sum(Matrix values) {
    if (!isAlone()) {
      try (Values all = Values.of(values)) {
        group.allReduce(all, Reduction.SUM).await();
      }
    }
  }

  /** Replaces each number of a contiguous tensor by its sum over ranks, unseen by autograd. */
  void sum(Tensor values) {
    reduce(values, Reduction.SUM);
  }

  /** Replaces each number of a contiguous tensor by the largest of all ranks. */
  void max(Tensor values) {
    reduce(values, Reduction.MAX);
  }

  private void reduce(Tensor values, Reduction reduction) {
    if (isAlone()) {
      return;
    }
    try (PointerScope _ = new PointerScope();
        Values all = new Values(values.detach())) {
      group.allReduce(all, reduction).await();
    }
  }

  /** Returns the place of this rank, from 0. */
  int rank() {
    return group.rank();
  }

  /** Replaces each number by its sum over ranks. */
  public void sum(float[] values) {
    reduce(values, Reduction.SUM);
  }

  /** Replaces each number by the largest of all ranks. */
  public void max(float[] values) {
    reduce(values, Reduction.MAX);
  }

  private void reduce(float[] values, Reduction reduction) {
    if (isAlone()) {
      return;
    }
    try (PointerScope _ = new PointerScope()) {
      Tensor copy = Tensors.of(values, values.length);
      reduce(copy, reduction);
      System.arraycopy(Tensors.floats(copy), 0, values, 0, values.length);
    }
  }

  /**
   * Returns for each id its row in this rank's part of the vocabulary; negative where another rank
   * has it.
   *
   * @param rows of the part; negative ids stay negative
   */
  public int[] rows(int[] ids, int rows) {
    if (isAlone()) {
      return ids;
    }
    int first = group.rank() * rows;
    return Arrays.stream(ids)
        .map(id -> id >= first && id < first + rows ? id - first : -1)
        .toArray();
  }
}
