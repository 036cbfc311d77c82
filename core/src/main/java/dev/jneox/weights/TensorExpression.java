package dev.jneox.weights;

import dev.jneox.model.Param;
import dev.jneox.model.ParamId;
import java.util.List;

/**
 * Says how one tensor of a file is made of parameters. A format states it once; readers and writers
 * both follow it.
 *
 * @param name of the tensor in the file
 * @param params whose rows it has; they have equally long rows
 * @param order of their rows
 * @param transposed whether the file has {@code [in, out]}, as GPT-2's Conv1D keeps its weights
 */
public record TensorExpression(
    String name, List<Param> params, RowOrder order, boolean transposed) {
  public TensorExpression {
    params = List.copyOf(params);
  }

  /** A parameter as it is. */
  public static TensorExpression of(String name, Param param) {
    return new TensorExpression(name, List.of(param), RowOrder.IN_TURN, false);
  }

  /** Rows of all parameters. */
  public int rows() {
    return params.stream().mapToInt(Param::rows).sum();
  }

  /** Values of a row. */
  public int columns() {
    return params.getFirst().columns();
  }

  public long elements() {
    return (long) rows() * columns();
  }

  /** Whether it has two axes. */
  public boolean isMatrix() {
    return params.getFirst().isMatrix();
  }

  /** The first of its parameters, which tells its kind. */
  public ParamId first() {
    return params.getFirst().id();
  }

  /** The shape of the tensor in the file. */
  public long[] shape() {
    if (!isMatrix()) {
      return new long[] {rows()};
    }
    return transposed ? new long[] {columns(), rows()} : new long[] {rows(), columns()};
  }

  /** The same parameters in the same rows, under another name. */
  boolean sameRows(TensorExpression other) {
    return params.equals(other.params) && order.equals(other.order);
  }
}
