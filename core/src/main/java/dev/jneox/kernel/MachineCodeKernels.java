package dev.jneox.kernel;

import java.util.Objects;

/** Computes in machine code what is most of the work, and the rest on the Vector API. */
final class MachineCodeKernels extends VectorKernels {
  @Override
  String name() {
    return "machine-code";
  }

  @Override
  public String toString() {
    return "machine code (AVX2, FMA), the rest on the " + super.toString();
  }

  @Override
  Int8Rows int8(int rows, int groups) {
    return new Int8Tiles(rows, groups);
  }

  @Override
  void multiply(
      Q4Weight weight, InputRows x, float[] y, int at, int ldy, int fromBlock, int toBlock) {
    Q4Code.multiply(weight, x, y, at, ldy, fromBlock, toBlock);
  }

  @Override
  void multiply(
      Q8Weight weight, InputRows x, float[] y, int at, int ldy, int fromBlock, int toBlock) {
    Q8Code.multiply(weight, x, y, at, ldy, fromBlock, toBlock);
  }

  @Override
  void multiply(
      DenseWeight weight, InputRows x, float[] y, int at, int ldy, int fromBlock, int toBlock) {
    DenseCode.multiply(weight, x, y, at, ldy, fromBlock, toBlock);
  }

  @Override
  void gelu(float[] row, int at, int n) {
    if (n > 0) {
      Objects.checkFromIndexSize(at, Vectors.padded(n), row.length);
      ActivationCode.gelu(row, at, n);
    }
  }

  @Override
  void geluTanh(float[] row, int at, int n) {
    if (n > 0) {
      Objects.checkFromIndexSize(at, Vectors.padded(n), row.length);
      ActivationCode.geluTanh(row, at, n);
    }
  }

  @Override
  void silu(float[] row, int at, int n) {
    if (n > 0) {
      Objects.checkFromIndexSize(at, Vectors.padded(n), row.length);
      ActivationCode.silu(row, at, n);
    }
  }
}
