package dev.jneox.format.packed;

import dev.jneox.weights.GgmlRows;
import dev.jneox.weights.GgmlType;
import dev.jneox.weights.LaneLayout;
import dev.jneox.weights.LaneMatrix;
import dev.jneox.weights.QuantisedMatrix;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Locale;

/**
 * Lists the forms in which {@link PackedFolder} stores a matrix. Each is a U8 tensor, named as the
 * canonical tensor plus the form.
 */
public enum PackedForm {
  /**
   * {@code [rows / 64, columns / 32, 1152]}, both rounded up: {@link dev.jneox.kernel.Q4Weight}.
   */
  Q4_LANES(GgmlType.Q4_0, true),
  /**
   * {@code [rows / 32, columns / 32, 1088]}, both rounded up: {@link dev.jneox.kernel.Q8Weight}.
   */
  Q8_LANES(GgmlType.Q8_0, true),
  /**
   * {@code [rows, bytes of a row]}: ggml's blocks of 4 bits, row after row, for lookups of single
   * rows.
   */
  Q4_ROWS(GgmlType.Q4_0, false),
  /**
   * {@code [rows, bytes of a row]}: ggml's blocks of 8 bits, row after row, for lookups of single
   * rows.
   */
  Q8_ROWS(GgmlType.Q8_0, false);

  private final GgmlType type;
  private final boolean lanes;

  PackedForm(GgmlType type, boolean lanes) {
    this.type = type;
    this.lanes = lanes;
  }

  /** Returns the form of a type, for kernels or by rows. */
  public static PackedForm of(GgmlType type, boolean lanes) {
    return type == GgmlType.Q4_0 ? lanes ? Q4_LANES : Q4_ROWS : lanes ? Q8_LANES : Q8_ROWS;
  }

  /** Returns the type of the blocks. */
  public GgmlType type() {
    return type;
  }

  /** Returns whether a kernel reads it in place. */
  public boolean lanes() {
    return lanes;
  }

  /** Returns the name in the file of a canonical tensor: {@code embed_in.weight.q8_0.rows}. */
  public String name(String canonical) {
    return canonical + "." + type.name().toLowerCase(Locale.ROOT) + (lanes ? ".lanes" : ".rows");
  }

  /** Returns the shape in the file of a matrix {@code [rows, columns]}. */
  public List<Long> shape(int rows, int columns) {
    return lanes
        ? LaneLayout.shape(type, rows, columns)
        : List.of((long) rows, type.rowBytes(columns));
  }

  /** Returns the bytes of a matrix {@code [rows, columns]}. */
  long bytes(int rows, int columns) {
    return lanes ? LaneLayout.bytes(type, rows, columns) : rows * type.rowBytes(columns);
  }

  /** Returns a view of the matrix in mapped memory. */
  QuantisedMatrix matrix(int rows, int columns, MemorySegment data) {
    return lanes
        ? new LaneMatrix(type, LaneLayout.weight(type, rows, columns, data))
        : new GgmlRows(type, rows, columns, data);
  }
}
