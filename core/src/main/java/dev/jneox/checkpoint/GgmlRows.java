package dev.jneox.checkpoint;

import java.lang.foreign.MemorySegment;
import java.util.List;

/**
 * The rows of a tensor of a GGUF file, as blocks of the type they are stored in and in the canonical order; read one at a time, whatever
 * order the file has them in.
 *
 * @param in values of a row, a whole number of blocks
 * @param parts the tensors of the file, each with as many rows
 * @param order for each canonical row, its place in the file's; null where they are the same
 */
public record GgmlRows(GgmlType type, int out, int in, List<MemorySegment> parts, int[] order) {
  /** Bytes of a row. */
  public long rowBytes() {
    return type.bytes(in);
  }

  /** The blocks of a row. */
  public MemorySegment row(int row) {
    int place = order == null ? row : order[row];
    int rows = out / parts.size();
    return parts.get(place / rows).asSlice(place % rows * rowBytes(), rowBytes());
  }

  /** Whether all rows lie in one piece, in order. */
  public boolean inPlace() {
    return order == null && parts.size() == 1;
  }

  /** Copies rows {@code from} to {@code to} to their places in {@code all}, which has room for all. */
  public void copy(int from, int to, MemorySegment all) {
    for (int r = from; r < to; r++) {
      MemorySegment.copy(row(r), 0, all, r * rowBytes(), rowBytes());
    }
  }

  /** The values of a row of a quantised tensor, as ggml computes them. */
  public void dequantise(int row, float[] into, int at) {
    GgmlBlocks.dequantise(type, row(row), MemorySegment.ofArray(into).asSlice(4L * at, 4L * in));
  }
}
