package dev.jneox.generate;

import dev.jneox.quant.Activations;
import dev.jneox.quant.PackedWeight;
import dev.jneox.tensor.Vectors;
import java.util.Arrays;

/**
 * {@code W x + b} over rows of activations, by blocks of {@link PackedWeight#BLOCK} output features
 * that threads share out.
 *
 * @param bias {@code [out]}, or null
 */
record PackedLinear(PackedWeight weight, float[] bias) {
  int blocks() {
    return weight.blocks();
  }

  /** {@code y = W x + b} for the features of some blocks. */
  void multiply(int fromBlock, int toBlock, Activations x, float[] y, int ldy) {
    int from = fromBlock * PackedWeight.BLOCK;
    int end = end(toBlock);
    for (int r = 0; r < x.rows(); r++) {
      if (bias == null) {
        Arrays.fill(y, r * ldy + from, r * ldy + end, 0);
      } else {
        System.arraycopy(bias, from, y, r * ldy + from, end - from);
      }
    }
    weight.multiply(x, y, 0, ldy, fromBlock, toBlock);
  }

  /** {@code y += W x + b} for the features of some blocks. */
  void add(int fromBlock, int toBlock, Activations x, float[] y, int ldy) {
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
