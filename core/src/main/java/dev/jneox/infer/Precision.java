package dev.jneox.infer;

/**
 * The type that a model's weights are multiplied in; norms, attention and softmax are in fp32
 * always.
 */
public enum Precision {
  /**
   * fp32 and bf16 as in the file, without a copy; fp16, in which CPUs are slow, and fp64 become
   * fp32.
   */
  STORED,
  /** All in fp32. */
  F32,
  /** All in bfloat16, rounded to the nearest where they are not. */
  BF16
}
