package dev.jneox.weights;

import dev.jneox.kernel.PackedWeight;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * Stores a matrix in the file in the order in which kernels read it.
 *
 * @param type Q4_0 or Q8_0
 * @param weight over the mapped file
 */
@SuppressWarnings("exports") // as QuantisedMatrix.weight
public record LaneMatrix(GgmlType type, PackedWeight weight) implements QuantisedMatrix {
  @Override
  public int out() {
    return weight.out();
  }

  @Override
  public int in() {
    return weight.in();
  }

  @Override
  public void blocks(int row, MemorySegment into, long at) {
    LaneLayout.unpack(weight, row, into, at);
  }

  @Override
  public void dequantise(int row, float[] into, int at) {
    MemorySegment blocks = MemorySegment.ofArray(new byte[Math.toIntExact(rowBytes())]);
    blocks(row, blocks, 0);
    GgmlBlocks.read(type, blocks, in(), into, at);
  }

  @Override
  public long kernelBytes() {
    return weight.bytes();
  }

  @Override
  public boolean inPlace() {
    return true;
  }

  @Override
  public PackedWeight weight(Arena arena) {
    return weight;
  }
}
