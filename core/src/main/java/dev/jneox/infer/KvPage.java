package dev.jneox.infer;

import org.jspecify.annotations.Nullable;

/**
 * Holds keys and values of {@link KvFormat#POSITIONS} positions in all layers; several sequences
 * with a common prefix may share one.
 */
final class KvPage {
  /** In fp32; else empty. */
  final float[] floats;

  /** Pairs of bfloat16 values, the first in the low half; else empty. */
  final int[] pairs;

  // The rest is the KvPool's own.

  /** Sequences that read it. */
  int readers;

  /** What it holds, once that is published for others to share; else null. */
  KvPool.@Nullable Block block;

  /** Tells it from all other pages that were ever published. */
  long serial;

  KvPage(float[] floats, int[] pairs) {
    this.floats = floats;
    this.pairs = pairs;
  }
}
