package dev.jneox.dist;

import dev.jneox.model.Param;
import java.util.List;
import java.util.stream.IntStream;

/**
 * States which rows and columns of a parameter a rank has.
 *
 * @param whole the parameter as the model describes it
 * @param rows of it that the rank has, from {@code firstRow} on
 * @param columns of each row, from {@code firstColumn} on
 */
public record Piece(Param whole, int firstRow, int rows, int firstColumn, int columns) {
  /**
   * States where consecutive values of a part are in the whole; both are counted row by row.
   *
   * @param inWhole the first one's index in the whole
   * @param inPart its index in the part
   * @param length number of values
   */
  public record Range(long inWhole, long inPart, long length) {}

  static Piece ofAll(Param whole) {
    return new Piece(whole, 0, whole.rows(), 0, whole.columns());
  }

  /** Returns the part as a parameter of its own. */
  public Param part() {
    return new Param(
        whole.id(), whole.isMatrix() ? List.of(rows, columns) : List.of(rows), whole.split());
  }

  /** Returns whether the part is the whole. */
  public boolean isWhole() {
    return rows == whole.rows() && columns == whole.columns();
  }

  /** Returns the ranges that make up the part, in order: one, or one for each row. */
  public List<Range> ranges() {
    if (columns == whole.columns()) {
      return List.of(new Range((long) firstRow * columns, 0, (long) rows * columns));
    }
    return IntStream.range(0, rows)
        .mapToObj(
            row ->
                new Range(
                    (long) (firstRow + row) * whole.columns() + firstColumn,
                    (long) row * columns,
                    columns))
        .toList();
  }
}
