package dev.jneox.infer;

import dev.jneox.kernel.DenseWeight;
import dev.jneox.kernel.DenseWeight.Type;

/**
 * The type that keys and values are kept in between steps; attention computes in fp32 from either.
 */
public enum KvPrecision {
  /** As computed. */
  F32,
  /** Half the memory and half the reads, rounded to the nearest. */
  BF16;

  /** What goes with a model: fp32 where its weights are, so that nothing is rounded; else bf16. */
  public static KvPrecision of(PackedModel model) {
    return of(
        model.layers.getFirst().queryKeyValue().parts().getFirst().weight() instanceof DenseWeight w
            && w.type() == Type.F32);
  }

  static KvPrecision of(boolean floatWeights) {
    return floatWeights ? F32 : BF16;
  }

  /** Bytes of a number. */
  public int bytes() {
    return this == F32 ? Float.BYTES : Short.BYTES;
  }
}
