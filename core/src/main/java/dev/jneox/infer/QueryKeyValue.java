package dev.jneox.infer;

import dev.jneox.kernel.InputRows;
import dev.jneox.model.HeadLayout;
import java.util.List;

/**
 * Projects rows to queries, keys and values, as the file has their matrices: one fused matrix, or
 * three whose products lie side by side in a row.
 *
 * @param layout where each head begins in a row of all products
 */
record QueryKeyValue(List<PackedLinear> parts, HeadLayout layout) {
  QueryKeyValue {
    parts = List.copyOf(parts);
  }

  /** Blocks of all matrices, those of one after those of another. */
  int blocks() {
    int blocks = 0;
    for (PackedLinear part : parts) {
      blocks += part.blocks();
    }
    return blocks;
  }

  /** Computes some of the blocks for all rows of {@code x} into rows of {@code y}. */
  void multiply(int fromBlock, int toBlock, InputRows x, float[] y, int ldy) {
    int first = 0;
    int at = 0;
    for (int p = 0; p < parts.size() && first < toBlock; p++) {
      PackedLinear part = parts.get(p);
      int from = Math.max(fromBlock - first, 0);
      int to = Math.min(toBlock - first, part.blocks());
      if (from < to) {
        part.multiply(from, to, x, y, at, ldy);
      }
      first += part.blocks();
      at += part.out();
    }
  }
}
