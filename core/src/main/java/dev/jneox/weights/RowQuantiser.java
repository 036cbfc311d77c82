package dev.jneox.weights;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.jspecify.annotations.Nullable;

/**
 * Converts the rows of a matrix to blocks of a type: copies rows that are stored in it, rounds
 * others, and records the rounding error. Several threads may convert different rows.
 */
public final class RowQuantiser implements LaneLayout.Rows, AutoCloseable {
  /** Writes the fp32 values of a row to {@code into[at ...]}. */
  @FunctionalInterface
  private interface Values {
    void read(int row, float[] into, int at);
  }

  /**
   * Holds the buffers of one thread: the values of a row, the same padded to whole blocks, and
   * their rounded values.
   *
   * @param weighted rounds by the importance of the columns; null where all count alike
   */
  private record Scratch(
      float[] row,
      MemorySegment values,
      MemorySegment rounded,
      @Nullable WeightedRounding weighted) {}

  private final @Nullable QuantisedMatrix quantised; // null for a dense matrix
  private final Values values;
  private final int columns;
  private final GgmlType type;
  // Kept per row, so that totals do not depend on how threads share the rows.
  private final double[] errors;
  private final double[] squares;
  private final Arena arena = Arena.ofShared();
  private final Scratch[] scratch;

  /**
   * Converts a quantised matrix.
   *
   * @param type of the blocks to write
   * @param threads number of calling threads
   */
  public RowQuantiser(QuantisedMatrix matrix, GgmlType type, int threads) {
    this(matrix, type, threads, null);
  }

  /**
   * The same by the importance of the columns.
   *
   * @param importance see {@link Importance}; used for Q4_0 alone, and null where all count alike
   */
  public RowQuantiser(
      QuantisedMatrix matrix, GgmlType type, int threads, float @Nullable [] importance) {
    this(matrix, matrix::dequantise, matrix.out(), matrix.in(), type, threads, importance);
  }

  /**
   * Converts a dense matrix.
   *
   * @param dense row by row
   * @param rows number of rows
   * @param columns values of a row
   * @param type of the blocks to write
   * @param threads number of calling threads
   * @param importance see {@link Importance}; used for Q4_0 alone, and null where all count alike
   */
  public RowQuantiser(
      MappedTensor dense,
      int rows,
      int columns,
      GgmlType type,
      int threads,
      float @Nullable [] importance) {
    this(
        null,
        (row, into, at) -> dense.read((long) row * columns, into, at, columns),
        rows,
        columns,
        type,
        threads,
        importance);
  }

  private RowQuantiser(
      @Nullable QuantisedMatrix quantised,
      Values values,
      int rows,
      int columns,
      GgmlType type,
      int threads,
      float @Nullable [] importance) {
    this.quantised = quantised;
    this.values = values;
    this.columns = columns;
    this.type = type;
    this.errors = new double[rows];
    this.squares = new double[rows];
    this.scratch = new Scratch[threads];
    long bytes =
        Math.ceilDiv(columns, type.blockValues()) * (long) type.blockValues() * Float.BYTES;
    for (int i = 0; i < threads; i++) {
      // Arenas are zeroed: the padding behind a row stays zero.
      scratch[i] =
          new Scratch(
              new float[columns],
              arena.allocate(bytes, 64),
              arena.allocate(bytes, 64),
              importance == null || type != GgmlType.Q4_0
                  ? null
                  : new WeightedRounding(importance));
    }
  }

  /**
   * Writes the blocks of a row to {@code into} from byte {@code at} on.
   *
   * @throws IllegalArgumentException for values that are not finite, or too large for the type; the
   *     message has the row
   */
  @Override
  public void blocks(int row, MemorySegment into, long at, int thread) {
    if (quantised != null && quantised.type() == type) {
      quantised.blocks(row, into, at);
      requireFinite(row, into, at, scratch[thread].rounded);
      return;
    }
    Scratch own = scratch[thread];
    values.read(row, own.row, 0);
    MemorySegment.copy(own.row, 0, own.values, ValueLayout.JAVA_FLOAT, 0, columns);
    MemorySegment blocks = into.asSlice(at, type.bytes(own.values.byteSize() / Float.BYTES));
    if (own.weighted == null) {
      GgmlBlocks.quantise(type, own.values, blocks);
    } else {
      own.weighted.row(own.row, blocks);
    }
    GgmlBlocks.dequantise(type, blocks, own.rounded);
    double error = 0;
    double square = 0;
    for (int i = 0; i < columns; i++) {
      double value = own.row[i];
      double difference = value - own.rounded.getAtIndex(ValueLayout.JAVA_FLOAT, i);
      error += difference * difference;
      square += value * value;
    }
    if (!(error + square < Double.POSITIVE_INFINITY)) {
      throw new IllegalArgumentException(
          "row " + row + ": a value that is not finite, or too large for " + type);
    }
    errors[row] = error;
    squares[row] = square;
  }

  /** Checks blocks that are copied: the scale of each may be NaN or infinite. */
  private void requireFinite(int row, MemorySegment into, long at, MemorySegment values) {
    long count = values.byteSize() / Float.BYTES;
    GgmlBlocks.dequantise(type, into.asSlice(at, type.bytes(count)), values);
    for (long i = 0; i < count; i++) {
      if (!Float.isFinite(values.getAtIndex(ValueLayout.JAVA_FLOAT, i))) {
        throw new IllegalArgumentException(
            "row " + row + ", input " + i + ": a scale that is not finite");
      }
    }
  }

  /** Returns the sum of the squared rounding errors so far. */
  public double error() {
    return sum(errors);
  }

  /** Returns the sum of the squared values so far; 0 where rows were copied. */
  public double squares() {
    return sum(squares);
  }

  private static double sum(double[] rows) {
    double sum = 0;
    for (double row : rows) {
      sum += row;
    }
    return sum;
  }

  @Override
  public void close() {
    arena.close();
  }
}
