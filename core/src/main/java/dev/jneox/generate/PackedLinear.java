package dev.jneox.generate;

import dev.jneox.quant.Activations;
import dev.jneox.quant.PackedWeight;
import dev.jneox.tensor.Vectors;
import java.util.Arrays;

/**
 * {@code W x + b} over rows of activations, in slices of output features that threads take one after the other.
 *
 * @param bias {@code [out]}, or null
 */
record PackedLinear(PackedWeight weight, float[] bias) {
  /** Bytes of weights in a slice: some microseconds of reading, against which taking one is nothing. */
  private static final long SLICE_BYTES = 64 << 10;

  /** Into how many slices this, and what is multiplied along with it, is worth cutting. */
  static int slices(PackedLinear... together) {
    long bytes = 0;
    for (PackedLinear linear : together) {
      bytes += linear.weight.bytes();
    }
    return Math.clamp(bytes / SLICE_BYTES, 1, together[0].weight.blocks());
  }

  /** {@code y = W x + b} for the features of a slice. */
  void multiply(int slice, int slices, Activations x, float[] y, int ldy) {
    int from = first(slice, slices);
    int end = Math.min(weight.out(), first(slice + 1, slices));
    for (int r = 0; r < x.rows(); r++) {
      if (bias == null) {
        Arrays.fill(y, r * ldy + from, r * ldy + end, 0);
      } else {
        System.arraycopy(bias, from, y, r * ldy + from, end - from);
      }
    }
    product(slice, slices, x, y, ldy);
  }

  /** {@code y += W x + b} for the features of a slice. */
  void add(int slice, int slices, Activations x, float[] y, int ldy) {
    int from = first(slice, slices);
    int end = Math.min(weight.out(), first(slice + 1, slices));
    for (int r = 0; r < x.rows() && bias != null; r++) {
      Vectors.add(y, r * ldy + from, bias, from, end - from);
    }
    product(slice, slices, x, y, ldy);
  }

  private void product(int slice, int slices, Activations x, float[] y, int ldy) {
    weight.multiply(x, y, 0, ldy, first(slice, slices) / PackedWeight.BLOCK, first(slice + 1, slices) / PackedWeight.BLOCK);
  }

  /** The first feature of a slice; a multiple of the block. */
  int first(int slice, int slices) {
    return (int) ((long) weight.blocks() * slice / slices) * PackedWeight.BLOCK;
  }
}
