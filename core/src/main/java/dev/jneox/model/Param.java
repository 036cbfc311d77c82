package dev.jneox.model;

import java.util.List;

/**
 * Describes one parameter of a model: logical and unpadded.
 *
 * @param shape {@code [out, in]} of a linear map, {@code [rows, width]} of a table, {@code [out]}
 *     of a bias or a norm
 */
public record Param(ParamId id, List<Integer> shape, Split split) {
  public Param {
    shape = List.copyOf(shape);
  }

  /** Whether it has two axes. */
  public boolean isMatrix() {
    return shape.size() == 2;
  }

  /** Length of the first axis. */
  public int rows() {
    return shape.getFirst();
  }

  /** Length of the second axis; 1 for a vector. */
  public int columns() {
    return isMatrix() ? shape.get(1) : 1;
  }

  /** Number of values. */
  public long elements() {
    return (long) rows() * columns();
  }

  /** The shape as an array. */
  public long[] axes() {
    return shape.stream().mapToLong(Integer::longValue).toArray();
  }
}
