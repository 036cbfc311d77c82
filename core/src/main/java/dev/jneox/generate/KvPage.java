package dev.jneox.generate;

/**
 * Keys and values of {@link KvFormat#POSITIONS} positions in all layers; several texts that begin
 * alike may share one.
 */
final class KvPage {
  /** In fp32; else null. */
  final float[] floats;

  /** Pairs of bfloat16 values, the first in the low half; else null. */
  final int[] pairs;

  /** Texts, living or remembered, that read it; changed by the {@link KvPool}. */
  int readers;

  KvPage(float[] floats, int[] pairs) {
    this.floats = floats;
    this.pairs = pairs;
  }
}
