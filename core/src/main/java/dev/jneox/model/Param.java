package dev.jneox.model;

import java.util.List;

/**
 * Describes one parameter of a model, with its logical, unpadded shape.
 *
 * @param id which parameter it is
 * @param shape {@code [out, in]} of a linear map, {@code [rows, width]} of a table, {@code [out]}
 *     of a bias or a norm
 * @param split how it may be divided among ranks
 */
public record Param(ParamId id, List<Integer> shape, Split split) {
  /** Copies the shape. */
  public Param {
    shape = List.copyOf(shape);
  }

  /** Returns whether it has two axes. */
  public boolean isMatrix() {
    return shape.size() == 2;
  }

  /** Returns the length of the first axis. */
  public int rows() {
    return shape.getFirst();
  }

  /** Returns the length of the second axis; 1 for a vector. */
  public int columns() {
    return isMatrix() ? shape.get(1) : 1;
  }

  /** Returns the number of values. */
  public long elements() {
    return (long) rows() * columns();
  }

  /** Returns the shape as an array. */
  public long[] axes() {
    return shape.stream().mapToLong(Integer::longValue).toArray();
  }
}
