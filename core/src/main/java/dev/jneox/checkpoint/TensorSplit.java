package dev.jneox.checkpoint;

import java.util.List;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;

/**
 * How a tensor is divided among the ranks of tensor parallelism (Shoeybi et al. 2019,
 * arXiv:1909.08053) and put together again, by the rules and in the precision of GPT-NeoX's own
 * converter: sums and means are taken in the type that is stored.
 */
enum TensorSplit {
  /** Each rank has some of the rows: column-parallel layers and the vocabulary. */
  ROWS,
  /** Each rank has some of the columns: row-parallel layers. */
  COLUMNS,
  /**
   * The whole is the sum of the ranks': biases that every rank adds before the results are summed.
   */
  SUM,
  /** Every rank has the whole. Where they drifted apart in training, the mean stands for it. */
  SAME;

  /** The shape of each rank's part; null when the whole cannot be divided evenly. */
  long[] partShape(long[] whole, int ranks) {
    int axis = axis();
    if (axis < 0) {
      return whole;
    }
    if (whole[axis] % ranks != 0) {
      return null;
    }
    long[] part = whole.clone();
    part[axis] /= ranks;
    return part;
  }

  private int axis() {
    return switch (this) {
      case ROWS -> 0;
      case COLUMNS -> 1;
      case SUM, SAME -> -1;
    };
  }

  /**
   * The whole of the parts in the order of their ranks; a part itself when there is only that one.
   */
  Tensor merged(List<Tensor> parts) {
    Tensor first = parts.getFirst();
    if (parts.size() == 1 || this == SAME && parts.stream().allMatch(first::equal)) {
      return first;
    }
    return switch (this) {
      case ROWS, COLUMNS -> torch.cat(new TensorVector(parts.toArray(new Tensor[0])), axis());
      case SUM -> sum(parts);
      case SAME -> sum(parts).div_(new Scalar((double) parts.size()));
    };
  }

  private static Tensor sum(List<Tensor> parts) {
    Tensor sum = parts.getFirst().clone();
    parts.subList(1, parts.size()).forEach(sum::add_);
    return sum;
  }

  /** The part of {@code whole} that belongs to a rank, a view of it where possible. */
  Tensor part(Tensor whole, int rank, int ranks) {
    return switch (this) {
      case SAME -> whole;
      case SUM -> share(whole, rank, ranks);
      case ROWS, COLUMNS -> {
        long length = whole.size(axis()) / ranks;
        yield whole.narrow(axis(), rank * length, length);
      }
    };
  }

  /**
   * {@code whole / ranks}; the last rank has what is left of the whole, so that the rounded shares
   * sum to it exactly. (The rest is exact by Sterbenz's lemma: the others' sum is between half of
   * the whole and twice it.)
   */
  private static Tensor share(Tensor whole, int rank, int ranks) {
    if (ranks == 1) {
      return whole;
    }
    Tensor share = whole.div(new Scalar((double) ranks));
    if (rank < ranks - 1) {
      return share;
    }
    Tensor others = share.clone();
    for (int i = 1; i < ranks - 1; i++) {
      others.add_(share);
    }
    return whole.sub(others);
  }
}
