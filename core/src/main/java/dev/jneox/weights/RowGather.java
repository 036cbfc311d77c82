package dev.jneox.weights;

import dev.jneox.kernel.Workers;
import dev.jneox.model.Param;
import dev.jneox.model.ParamId;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;

/** Reorders rows of stored tensors as another expression requires. */
final class RowGather {
  /** Side of the tiles in which a matrix is transposed. */
  private static final int SQUARE = 32;

  private RowGather() {}

  /**
   * Says where the rows of an expression are stored.
   *
   * @param tensors the tensors that hold them
   * @param tensorOf for each row the tensor's index
   * @param rowOf for each row its row in that tensor
   */
  private record Sources(List<StoredTensor> tensors, int[] tensorOf, int[] rowOf) {
    static Sources of(ModelWeights weights, TensorExpression wanted) {
      List<StoredTensor> tensors = new ArrayList<>();
      Map<ParamId, int[]> rows = new HashMap<>(); // of each parameter, in its tensor
      int[] concatenatedTensor = new int[wanted.rows()];
      int[] concatenatedRow = new int[wanted.rows()];
      int at = 0;
      for (Param param : wanted.params()) {
        StoredTensor holder = weights.holder(param.id());
        int index = tensors.indexOf(holder);
        if (index < 0) {
          index = tensors.size();
          tensors.add(holder);
          rows.putAll(rowsOf(holder.expression()));
        }
        int[] own = Objects.requireNonNull(rows.get(param.id()));
        for (int row : own) {
          concatenatedTensor[at] = index;
          concatenatedRow[at++] = row;
        }
      }
      int[] order = wanted.order().rows(wanted.params()).orElse(null);
      if (order == null) {
        return new Sources(tensors, concatenatedTensor, concatenatedRow);
      }
      int[] tensorOf = new int[order.length];
      int[] rowOf = new int[order.length];
      for (int row = 0; row < order.length; row++) {
        tensorOf[row] = concatenatedTensor[order[row]];
        rowOf[row] = concatenatedRow[order[row]];
      }
      return new Sources(tensors, tensorOf, rowOf);
    }

    /** Returns for each parameter of a tensor the rows that hold it. */
    private static Map<ParamId, int[]> rowsOf(TensorExpression expression) {
      int[] order = expression.order().rows(expression.params()).orElse(null);
      int[] place = new int[expression.rows()];
      for (int row = 0; row < place.length; row++) {
        place[order == null ? row : order[row]] = row;
      }
      Map<ParamId, int[]> rows = new HashMap<>();
      int first = 0;
      for (Param param : expression.params()) {
        int end = first + param.rows();
        rows.put(param.id(), java.util.Arrays.copyOfRange(place, first, end));
        first = end;
      }
      return rows;
    }

    /** Returns whether they are consecutive rows of one tensor. */
    boolean isRun() {
      if (tensors.size() > 1) {
        return false;
      }
      for (int row = 1; row < rowOf.length; row++) {
        if (rowOf[row] != rowOf[0] + row) {
          return false;
        }
      }
      return true;
    }
  }

  /** Reads the rows of an expression, not transposed. */
  static MappedTensor read(ModelWeights weights, TensorExpression wanted, Arena arena) {
    StoredTensor first = weights.holder(wanted.first());
    if (first.expression().sameRows(wanted)) {
      return first.read(arena);
    }
    Sources sources = Sources.of(weights, wanted);
    int columns = wanted.columns();
    if (sources.isRun()) {
      MappedTensor all = first.read(arena);
      long rowBytes = (long) columns * all.dtype().bits() / 8;
      return new MappedTensor(
          all.dtype(), all.data().asSlice(sources.rowOf()[0] * rowBytes, wanted.rows() * rowBytes));
    }
    try (Arena own = Arena.ofShared()) {
      List<MappedTensor> from = sources.tensors().stream().map(t -> t.read(own)).toList();
      boolean alike = from.stream().map(MappedTensor::dtype).distinct().count() == 1;
      Dtype dtype = alike ? from.getFirst().dtype() : Dtype.F32;
      long rowBytes = (long) columns * dtype.bits() / 8;
      MappedTensor into = new MappedTensor(dtype, arena.allocate(wanted.rows() * rowBytes, 64));
      float[] values = new float[alike ? 0 : columns];
      for (int row = 0; row < wanted.rows(); row++) {
        MappedTensor source = from.get(sources.tensorOf()[row]);
        long at = (long) sources.rowOf()[row] * columns;
        if (alike) {
          MemorySegment.copy(
              source.data(), at / columns * rowBytes, into.data(), row * rowBytes, rowBytes);
        } else {
          source.read(at, values, 0, columns);
          into.write((long) row * columns, values, 0, columns);
        }
      }
      return into;
    }
  }

  static Optional<QuantisedMatrix> quantised(ModelWeights weights, TensorExpression wanted) {
    StoredTensor first = weights.holder(wanted.first());
    Optional<QuantisedMatrix> stored = first.quantised();
    if (stored.isEmpty() || first.expression().sameRows(wanted)) {
      return stored;
    }
    Sources sources = Sources.of(weights, wanted);
    List<QuantisedMatrix> matrices = new ArrayList<>();
    for (StoredTensor tensor : sources.tensors()) {
      Optional<QuantisedMatrix> matrix = tensor.quantised();
      if (matrix.isEmpty() || matrix.get().type() != stored.get().type()) {
        return Optional.empty();
      }
      matrices.add(matrix.get());
    }
    return Optional.of(new GatheredRows(matrices, sources.tensorOf(), sources.rowOf()));
  }

  /** Transposes a matrix {@code [rows, columns]} on all cores. */
  static MappedTensor transposed(MappedTensor matrix, int rows, int columns, Arena arena) {
    int size = matrix.dtype().bits() / 8;
    MemorySegment from = matrix.data();
    MemorySegment to = arena.allocate(from.byteSize(), 64);
    Workers.all()
        .forEach(
            Math.ceilDiv(columns, SQUARE),
            (first, end, thread) -> {
              for (int c = first * SQUARE; c < Math.min(columns, end * SQUARE); c += SQUARE) {
                for (int r = 0; r < rows; r += SQUARE) {
                  square(from, to, size, rows, columns, r, c);
                }
              }
            });
    return new MappedTensor(matrix.dtype(), to);
  }

  private static void square(
      MemorySegment from, MemorySegment to, int size, int rows, int columns, int row, int column) {
    int endRow = Math.min(rows, row + SQUARE);
    int endColumn = Math.min(columns, column + SQUARE);
    for (int c = column; c < endColumn; c++) {
      for (int r = row; r < endRow; r++) {
        long source = ((long) r * columns + c) * size;
        long target = ((long) c * rows + r) * size;
        switch (size) {
          case 2 ->
              to.set(
                  ValueLayout.JAVA_SHORT_UNALIGNED,
                  target,
                  from.get(ValueLayout.JAVA_SHORT_UNALIGNED, source));
          case 4 ->
              to.set(
                  ValueLayout.JAVA_INT_UNALIGNED,
                  target,
                  from.get(ValueLayout.JAVA_INT_UNALIGNED, source));
          default ->
              to.set(
                  ValueLayout.JAVA_LONG_UNALIGNED,
                  target,
                  from.get(ValueLayout.JAVA_LONG_UNALIGNED, source));
        }
      }
    }
  }
}
