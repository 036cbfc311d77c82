package dev.jneox.checkpoint;

import dev.jneox.io.MappedMemory;
import dev.jneox.quant.PackedWeight;
import dev.jneox.tensor.Workers;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;

/**
 * The rows of a tensor, as ggml's blocks of the type they are stored in and in the canonical order;
 * read one at a time, whatever order the file has them in.
 *
 * @param in values of a row
 * @param parts the tensors of the file, each with as many rows
 * @param order for each canonical row, its place in the file's; null where they are the same
 */
public record GgmlRows(GgmlType type, int out, int in, List<MemorySegment> parts, int[] order)
    implements QuantisedMatrix {
  /** The blocks of a row. */
  MemorySegment row(int row) {
    int place = order == null ? row : order[row];
    int rows = out / parts.size();
    return parts.get(place / rows).asSlice(place % rows * rowBytes(), rowBytes());
  }

  /** Whether all rows lie in one piece, in order. */
  boolean inOrder() {
    return order == null && parts.size() == 1;
  }

  /**
   * Copies rows {@code from} to {@code to} to their places in {@code all}, which has room for all.
   */
  void copy(int from, int to, MemorySegment all) {
    for (int r = from; r < to; r++) {
      MemorySegment.copy(row(r), 0, all, r * rowBytes(), rowBytes());
    }
  }

  @Override
  public void blocks(int row, MemorySegment into, long at) {
    MemorySegment.copy(row(row), 0, into, at, rowBytes());
  }

  @Override
  public void dequantise(int row, float[] into, int at) {
    GgmlBlocks.read(type, row(row), in, into, at);
  }

  @Override
  public long kernelBytes() {
    return LaneLayout.bytes(LaneLayout.kernelType(type), out, in);
  }

  @Override
  public boolean inPlace() {
    return false;
  }

  @Override
  public PackedWeight weight(Arena arena) {
    GgmlType kernel = LaneLayout.kernelType(type);
    MemorySegment packed = arena.allocate(kernelBytes(), 64);
    PackedWeight weight = LaneLayout.weight(kernel, out, in, packed);
    try (RowQuantiser rows = new RowQuantiser(this, kernel, Workers.all().count())) {
      LaneLayout.pack(kernel, out, in, 0, weight.blocks(), rows, packed);
    }
    // Nobody reads them again: a model that fits once need not fit twice.
    parts.stream()
        .filter(part -> part.isMapped() && part.isReadOnly())
        .forEach(MappedMemory::release);
    return weight;
  }
}
