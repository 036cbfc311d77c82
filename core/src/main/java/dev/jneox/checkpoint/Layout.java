package dev.jneox.checkpoint;

import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;

/**
 * How a canonical tensor (a weight {@code [out, in]} or a bias {@code [out]}) lies in a family's
 * files. The canonical rows of {@code query_key_value} are {@code head * 3 * headDim + {q:0, k:1,
 * v:2} * headDim + d}.
 */
enum Layout {
  /** As it is. */
  SAME,

  /** {@code [in, out]}, as GPT-2's Conv1D keeps its weights. */
  TRANSPOSED,

  /** Query, key and value are three tensors, each {@code [H, in]} with the heads in order. */
  THREE,

  /**
   * GPT-2's {@code c_attn}: {@code [in, 3H]} (bias {@code [3H]}), whose columns are all queries,
   * all keys, all values.
   */
  COLUMNS;

  /** The shape of each tensor in the files. */
  List<long[]> shapes(long[] canonical) {
    boolean bias = canonical.length == 1;
    return switch (this) {
      case SAME -> List.of(canonical);
      case TRANSPOSED, COLUMNS ->
          List.of(bias ? canonical : new long[] {canonical[1], canonical[0]});
      case THREE -> {
        long third = canonical[0] / 3;
        long[] part = bias ? new long[] {third} : new long[] {third, canonical[1]};
        yield List.of(part, part, part);
      }
    };
  }

  /**
   * The canonical tensor of those in the files: themselves where they are the same, else a copy.
   */
  Tensor read(List<Tensor> stored, int heads) {
    Tensor first = stored.getFirst();
    return switch (this) {
      case SAME -> first;
      case TRANSPOSED -> first.t().contiguous();
      case THREE -> {
        long[] perHead = split(first, heads);
        TensorVector parts =
            new TensorVector(
                first.reshape(perHead),
                stored.get(1).reshape(perHead),
                stored.get(2).reshape(perHead));
        yield torch.stack(parts, 1).flatten(0, 2).contiguous();
      }
      case COLUMNS -> {
        Tensor rows = first.dim() == 1 ? first : first.t();
        yield rows.reshape(split(rows, 3, heads)).transpose(0, 1).flatten(0, 2).contiguous();
      }
    };
  }

  /**
   * The tensors in the files of a canonical one: views of it where that is possible. The inverse of
   * {@link #read}.
   */
  List<Tensor> write(Tensor canonical, int heads) {
    return switch (this) {
      case SAME -> List.of(canonical);
      case TRANSPOSED -> List.of(canonical.t());
      case THREE -> {
        Tensor perHead = canonical.reshape(split(canonical, heads, 3));
        yield List.of(
            perHead.select(1, 0).flatten(0, 1),
            perHead.select(1, 1).flatten(0, 1),
            perHead.select(1, 2).flatten(0, 1));
      }
      case COLUMNS -> {
        Tensor rows = canonical.reshape(split(canonical, heads, 3)).transpose(0, 1).flatten(0, 2);
        yield List.of(rows.dim() == 1 ? rows : rows.t());
      }
    };
  }

  /** The shape of {@code tensor} with its first axis split into {@code leading} and the rest. */
  private static long[] split(Tensor tensor, long... leading) {
    long rest = tensor.size(0);
    long[] shape = new long[leading.length + (int) tensor.dim()];
    for (int i = 0; i < leading.length; i++) {
      shape[i] = leading[i];
      rest /= leading[i];
    }
    shape[leading.length] = rest;
    if (tensor.dim() == 2) {
      shape[leading.length + 1] = tensor.size(1);
    }
    return shape;
  }
}
