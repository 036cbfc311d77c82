package dev.jneox.weights;

import dev.jneox.io.MappedMemory;
import java.lang.foreign.MemorySegment;

/**
 * Views ggml's blocks in memory as the rows of a matrix.
 *
 * @param type of the blocks
 * @param out rows
 * @param in values of a row
 * @param data the blocks, row after row
 */
public record GgmlRows(GgmlType type, int out, int in, MemorySegment data)
    implements QuantisedMatrix {
  @Override
  public void blocks(int row, MemorySegment into, long at) {
    MemorySegment.copy(data, row * rowBytes(), into, at, rowBytes());
  }

  @Override
  public void dequantise(int row, float[] into, int at) {
    GgmlBlocks.read(type, data.asSlice(row * rowBytes(), rowBytes()), in, into, at);
  }

  @Override
  public void release() {
    if (data.isMapped() && data.isReadOnly()) {
      MappedMemory.release(data);
    }
  }
}
