package dev.jneox.weights;

import java.lang.foreign.Arena;
import java.util.Optional;

/**
 * A tensor that holds one or several parameters. Its values are taken as a matrix of {@link
 * TensorExpression#rows} rows of {@link TensorExpression#columns} values, in the order of the
 * expression and never transposed, whatever the file does.
 */
public interface StoredTensor {
  TensorExpression expression();

  /** How it is stored, as its format calls it: {@code BF16}, {@code Q4_0}. */
  String type();

  /** The values where they lie row by row in memory that outlives this call; else empty. */
  Optional<MappedTensor> inPlace();

  /**
   * The values: {@link #inPlace}, or else made in {@code arena} (transposed, merged, strided;
   * quantised ones in fp32).
   */
  MappedTensor read(Arena arena);

  /** The matrix where it is kept as integers with scales; empty for any other. */
  default Optional<QuantisedMatrix> quantised() {
    return Optional.empty();
  }
}
