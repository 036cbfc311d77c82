package dev.jneox.weights;

import dev.jneox.model.Attention;
import dev.jneox.model.HeadLayout;
import dev.jneox.model.Param;
import dev.jneox.model.Part;
import java.util.List;
import java.util.Optional;

/** Orders the rows of one or several parameters in a tensor of a file. */
public sealed interface RowOrder {
  /** Puts the parameters one after the other. */
  record Concatenated() implements RowOrder {}

  /**
   * Puts query, key and value of each head together (GPT-NeoX), for as many keys as queries.
   *
   * @param headDim width of a head
   */
  record ByHead(int headDim) implements RowOrder {}

  /**
   * Puts the parameters one after the other, with an interleaved rotary's pairs (0,1), (2,3), ...
   * of each query and key head reordered as a half-split rotary's, (0, dims/2), (1, dims/2+1), ...
   *
   * @param headDim width of a head
   * @param rotaryDims values of a head that rotate
   */
  record HalfSplit(int headDim, int rotaryDims) implements RowOrder {}

  /** Puts the parameters one after the other. */
  RowOrder CONCATENATED = new Concatenated();

  /**
   * Returns the order of GPT-NeoX's fused {@code query_key_value}: by head, or concatenated where
   * heads share keys.
   */
  static RowOrder neox(Attention attention) {
    return attention.groupSize() == 1 ? new ByHead(attention.headDim()) : CONCATENATED;
  }

  /**
   * Returns where heads begin in the rows of a fused query, key and value; empty where no strides
   * describe it.
   */
  default Optional<HeadLayout> layout(Attention attention) {
    return switch (this) {
      case Concatenated() -> Optional.of(HeadLayout.concatenated(attention));
      case ByHead(int _) -> Optional.of(HeadLayout.byHead(attention));
      case HalfSplit(int _, int _) -> Optional.empty();
    };
  }

  /**
   * Returns for each row of the stored tensor its index among the concatenated rows of {@code
   * params}; empty where the two orders are the same.
   */
  default Optional<int[]> rows(List<Param> params) {
    int total = params.stream().mapToInt(Param::rows).sum();
    return switch (this) {
      case Concatenated() -> Optional.empty();
      case ByHead(int d) -> {
        int part = total / 3;
        int[] rows = new int[total];
        for (int row = 0; row < total; row++) {
          int head = row / (3 * d);
          rows[row] = row / d % 3 * part + head * d + row % d;
        }
        yield Optional.of(rows);
      }
      case HalfSplit(int d, int dims) -> {
        int[] rows = new int[total];
        int first = 0;
        for (Param param : params) {
          boolean rotated = param.id().part() != Part.VALUE;
          for (int r = 0; r < param.rows(); r++) {
            int i = r % d;
            if (rotated && i < dims) {
              i = i < dims / 2 ? 2 * i : 2 * (i - dims / 2) + 1;
            }
            rows[first + r] = first + r / d * d + i;
          }
          first += param.rows();
        }
        yield Optional.of(rows);
      }
    };
  }
}
