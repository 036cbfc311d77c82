package dev.jneox.weights;

import dev.jneox.model.Param;
import dev.jneox.model.ParamId;
import java.util.List;

/**
 * Says how one tensor of a file is composed of parameters. A format states it once; its reader and
 * its writer both use it.
 *
 * @param name of the tensor in the file
 * @param params whose rows it has; all rows have the same length
 * @param order of their rows
 * @param transposed whether the file has {@code [in, out]}, as GPT-2's Conv1D stores its weights
 */
public record TensorExpression(
    String name, List<Param> params, RowOrder order, boolean transposed) {
  /** Copies the list. */
  public TensorExpression {
    params = List.copyOf(params);
  }

  /** Describes a tensor that is one parameter unchanged. */
  public static TensorExpression of(String name, Param param) {
    return new TensorExpression(name, List.of(param), RowOrder.CONCATENATED, false);
  }

  /** Returns the rows of all parameters. */
  public int rows() {
    return params.stream().mapToInt(Param::rows).sum();
  }

  /** Returns the values of a row. */
  public int columns() {
    return params.getFirst().columns();
  }

  /** Returns the number of values. */
  public long elements() {
    return (long) rows() * columns();
  }

  /** Returns whether it has two axes. */
  public boolean isMatrix() {
    return params.getFirst().isMatrix();
  }

  /** Returns the id of its first parameter. */
  public ParamId first() {
    return params.getFirst().id();
  }

  /** Returns the shape of the tensor in the file. */
  public long[] shape() {
    if (!isMatrix()) {
      return new long[] {rows()};
    }
    return transposed ? new long[] {columns(), rows()} : new long[] {rows(), columns()};
  }

  /** Returns whether another tensor has the same rows in the same order. */
  boolean sameRows(TensorExpression other) {
    return params.equals(other.params) && order.equals(other.order);
  }
}
