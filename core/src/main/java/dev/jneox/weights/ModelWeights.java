package dev.jneox.weights;

import dev.jneox.model.ModelSpec;
import dev.jneox.model.Param;
import dev.jneox.model.ParamId;
import java.lang.foreign.Arena;
import java.util.List;
import java.util.Optional;

/**
 * Gives the values of a model's parameters, wherever they are kept: in files, in the memory of a
 * training run, or made by a formula.
 */
public interface ModelWeights {
  ModelSpec spec();

  /** The tensors that together hold each parameter once. */
  List<StoredTensor> tensors();

  /**
   * The tensor that holds a parameter.
   *
   * @throws IllegalArgumentException when the model has no such parameter
   */
  default StoredTensor holder(ParamId id) {
    return tensors().stream()
        .filter(tensor -> tensor.expression().params().stream().anyMatch(p -> p.id().equals(id)))
        .findFirst()
        .orElseThrow(() -> new IllegalArgumentException("no parameter " + id));
  }

  /** The values of one parameter, row by row; in place where they lie so, else in {@code arena}. */
  default MappedTensor read(ParamId id, Arena arena) {
    Param param =
        holder(id).expression().params().stream()
            .filter(p -> p.id().equals(id))
            .findFirst()
            .orElseThrow();
    return read(TensorExpression.of("", param), arena);
  }

  /**
   * The values of a tensor as {@code expression} orders them and as a file with it has them,
   * transposition included; in place where they lie so, else in {@code arena}.
   */
  default MappedTensor read(TensorExpression expression, Arena arena) {
    MappedTensor rows = RowGather.read(this, expression, arena);
    return expression.transposed() && expression.isMatrix()
        ? RowGather.transposed(rows, expression.rows(), expression.columns(), arena)
        : rows;
  }

  /**
   * The rows of {@code expression} where all are kept as integers with scales of one type; else
   * empty.
   */
  default Optional<QuantisedMatrix> quantised(TensorExpression expression) {
    return RowGather.quantised(this, expression);
  }

  /**
   * Returns resident pages of mapped files to the system. Values in place stay valid; a later read
   * loads them again.
   */
  default void release() {}

  /** The values of one vector or table in fp32. */
  default float[] floats(ParamId id) {
    try (Arena arena = Arena.ofShared()) {
      return read(id, arena).floats();
    }
  }
}
