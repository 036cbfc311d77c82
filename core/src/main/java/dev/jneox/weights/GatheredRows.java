package dev.jneox.weights;

import java.lang.foreign.MemorySegment;
import java.util.List;

/**
 * Gathers rows of quantised matrices of one type in a given order.
 *
 * @param matrices with equally long rows
 * @param matrixOf for each row the index of the matrix it comes from
 * @param rowOf for each row its row in that matrix
 */
record GatheredRows(List<QuantisedMatrix> matrices, int[] matrixOf, int[] rowOf)
    implements QuantisedMatrix {
  @Override
  public GgmlType type() {
    return matrices.getFirst().type();
  }

  @Override
  public int out() {
    return rowOf.length;
  }

  @Override
  public int in() {
    return matrices.getFirst().in();
  }

  @Override
  public void blocks(int row, MemorySegment into, long at) {
    matrices.get(matrixOf[row]).blocks(rowOf[row], into, at);
  }

  @Override
  public void dequantise(int row, float[] into, int at) {
    matrices.get(matrixOf[row]).dequantise(rowOf[row], into, at);
  }

  @Override
  public void release() {
    matrices.forEach(QuantisedMatrix::release);
  }
}
