package dev.jneox.weights;

import dev.jneox.model.ModelSpec;
import dev.jneox.model.Param;
import dev.jneox.model.ParamId;
import java.lang.foreign.Arena;
import java.util.List;
import java.util.Optional;

/**
 * Provides the values of a model's parameters: from files, from the memory of a training run, or
 * from a formula.
 */
public interface ModelWeights {
  /** Returns the model that the weights belong to. */
  ModelSpec spec();

  /** Returns the tensors, which together hold each parameter once. */
  List<StoredTensor> tensors();

  /**
   * Finds the tensor that holds a parameter.
   *
   * @throws IllegalArgumentException when the model has no such parameter
   */
  default StoredTensor holder(ParamId id) {
    return tensors().stream()
        .filter(tensor -> tensor.expression().params().stream().anyMatch(p -> p.id().equals(id)))
        .findFirst()
        .orElseThrow(() -> new IllegalArgumentException("no parameter " + id));
  }

  /**
   * Reads one parameter row by row: in place if it lies so in the file, else into {@code arena}.
   */
  default MappedTensor read(ParamId id, Arena arena) {
    Param param =
        holder(id).expression().params().stream()
            .filter(p -> p.id().equals(id))
            .findFirst()
            .orElseThrow();
    return read(TensorExpression.of("", param), arena);
  }

  /**
   * Reads a tensor in the form that {@code expression} describes, including its transposition: in
   * place if possible, else into {@code arena}.
   */
  default MappedTensor read(TensorExpression expression, Arena arena) {
    MappedTensor rows = RowGather.read(this, expression, arena);
    return expression.transposed() && expression.isMatrix()
        ? RowGather.transposed(rows, expression.rows(), expression.columns(), arena)
        : rows;
  }

  /**
   * Returns the rows of {@code expression} when all are stored as quantised values of one type;
   * else empty.
   */
  default Optional<QuantisedMatrix> quantised(TensorExpression expression) {
    return RowGather.quantised(this, expression);
  }

  /**
   * Returns resident pages of mapped files to the system. Values in place stay valid; a later read
   * loads them again.
   */
  default void release() {}

  /**
   * Checks that mapped files were not changed since they were opened. Who uses values in place for
   * long calls it before each use.
   *
   * @throws dev.jneox.io.StorageException when one was
   */
  default void check() {}

  /** Reads one vector or table in fp32. */
  default float[] floats(ParamId id) {
    try (Arena arena = Arena.ofShared()) {
      return read(id, arena).floats();
    }
  }
}
