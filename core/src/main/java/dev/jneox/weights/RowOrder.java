package dev.jneox.weights;

import dev.jneox.model.Attention;
import dev.jneox.model.HeadLayout;
import dev.jneox.model.Param;
import java.util.List;
import java.util.Optional;

/** Orders the rows of one or several parameters in a tensor of a file. */
public sealed interface RowOrder {
  /** The parameters one after the other. */
  record InTurn() implements RowOrder {}

  /** Of each head its query, key and value (GPT-NeoX), for as many keys as queries. */
  record PerHead(int headDim) implements RowOrder {}

  /**
   * The parameters one after the other; in each head of a query or key an interleaved rotary's
   * pairs (0,1), (2,3), ... are laid out as a half-split one's, (0, dims/2), (1, dims/2+1), ...
   */
  record Halved(int headDim, int rotaryDims) implements RowOrder {}

  RowOrder IN_TURN = new InTurn();

  /** The order of GPT-NeoX's fused {@code query_key_value}: in turn where heads share keys. */
  static RowOrder neox(Attention attention) {
    return attention.groupSize() == 1 ? new PerHead(attention.headDim()) : IN_TURN;
  }

  /**
   * Where heads begin in the rows of a fused query, key and value; null where no stride says so.
   */
  default Optional<HeadLayout> layout(Attention attention) {
    return switch (this) {
      case InTurn() -> Optional.of(HeadLayout.inTurn(attention));
      case PerHead(int _) -> Optional.of(HeadLayout.perHead(attention));
      case Halved(int _, int _) -> Optional.empty();
    };
  }

  /**
   * For each row of the stored tensor its place among the rows of {@code params} in turn; null
   * where both are the same.
   */
  default Optional<int[]> rows(List<Param> params) {
    int total = params.stream().mapToInt(Param::rows).sum();
    return switch (this) {
      case InTurn() -> Optional.empty();
      case PerHead(int d) -> {
        int part = total / 3;
        int[] rows = new int[total];
        for (int row = 0; row < total; row++) {
          int head = row / (3 * d);
          rows[row] = row / d % 3 * part + head * d + row % d;
        }
        yield Optional.of(rows);
      }
      case Halved(int d, int dims) -> {
        int[] rows = new int[total];
        int first = 0;
        for (Param param : params) {
          boolean turned = param.id().part() != dev.jneox.model.Part.VALUE;
          for (int r = 0; r < param.rows(); r++) {
            int i = r % d;
            if (turned && i < dims) {
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
