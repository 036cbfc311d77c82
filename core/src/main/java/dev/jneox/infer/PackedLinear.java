package dev.jneox.infer;

import dev.jneox.kernel.InputRows;
import dev.jneox.kernel.PackedWeight;
import dev.jneox.kernel.Vectors;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Computes {@code W x + b} over rows of activations, by blocks of {@link PackedWeight#BLOCK} output
 * features that threads share out.
 *
 * @param bias {@code [out]}, or null
 */
record PackedLinear(PackedWeight weight, float @Nullable [] bias) {
  int blocks() {
    return weight.blocks();
  }

  int out() {
    return weight.out();
  }

  /**
   * {@code y = W x + b} for the features of some blocks.
   *
   * @param at where feature 0 of the first row is
   */
  void multiply(int fromBlock, int toBlock, InputRows x, float[] y, int at, int ldy) {
    int from = fromBlock * PackedWeight.BLOCK;
    int end = end(toBlock);
    for (int r = 0; r < x.rows(); r++) {
      int row = at + r * ldy;
      if (bias == null) {
        Arrays.fill(y, row + from, row + end, 0);
      } else {
        System.arraycopy(bias, from, y, row + from, end - from);
      }
    }
    weight.multiply(x, y, at, ldy, fromBlock, toBlock);
  }

  /** {@code y += W x + b} for the features of some blocks. */
  void add(int fromBlock, int toBlock, InputRows x, float[] y, int ldy) {
    int from = fromBlock * PackedWeight.BLOCK;
    int end = end(toBlock);
    for (int r = 0; r < x.rows() && bias != null; r++) {
      Vectors.add(y, r * ldy + from, bias, from, end - from);
    }
    weight.multiply(x, y, 0, ldy, fromBlock, toBlock);
  }

  /** The feature after the last of the blocks before {@code toBlock}. */
  int end(int toBlock) {
    return Math.min(weight.out(), toBlock * PackedWeight.BLOCK);
  }
}
