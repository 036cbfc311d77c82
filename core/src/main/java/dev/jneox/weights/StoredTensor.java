package dev.jneox.weights;

import java.lang.foreign.Arena;
import java.util.Optional;

/**
 * Represents a stored tensor that holds one or several parameters. Its values form a matrix of
 * {@link TensorExpression#rows} rows and {@link TensorExpression#columns} columns in the order of
 * the expression, never transposed, even where the file is.
 */
public interface StoredTensor {
  /** Returns which parameters the tensor holds. */
  TensorExpression expression();

  /** Returns the type as the format calls it: {@code BF16}, {@code Q4_0}. */
  String type();

  /** Returns the values if they lie row by row in memory that outlives this call; else empty. */
  Optional<MappedTensor> inPlace();

  /**
   * Returns the values: {@link #inPlace}, else built in {@code arena} (transposed, merged or
   * strided; quantised ones in fp32).
   */
  MappedTensor read(Arena arena);

  /** Returns the matrix if it is stored as integers with scales; else empty. */
  default Optional<QuantisedMatrix> quantised() {
    return Optional.empty();
  }
}
