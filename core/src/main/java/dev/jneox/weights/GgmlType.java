package dev.jneox.weights;

import java.util.Arrays;
import java.util.Optional;

/**
 * How ggml stores the elements of a tensor: in blocks of a fixed number of values from one row.
 * {@code Q} types hold small integers and a scale for each block, the {@code _K} types blocks
 * within blocks; {@link GgmlBlocks} has the layouts.
 */
public enum GgmlType {
  F32(0, 1, 4, Float.MAX_VALUE),
  F16(1, 1, 2, 65504),
  Q4_0(2, 32, 18, 65504f * 8),
  Q8_0(8, 32, 34, 65504f * 127),
  Q4_K(12, 256, 144, 0),
  Q5_K(13, 256, 176, 0),
  Q6_K(14, 256, 210, 0),
  BF16(30, 1, 2, Float.MAX_VALUE);

  private final int id;
  private final int blockValues;
  private final int blockBytes;
  private final float largest;

  GgmlType(int id, int blockValues, int blockBytes, float largest) {
    this.id = id;
    this.blockValues = blockValues;
    this.blockBytes = blockBytes;
    this.largest = largest;
  }

  /** ggml's number for it, which stands in files. */
  public int id() {
    return id;
  }

  /** Values of one block; rows are a whole number of blocks. */
  public int blockValues() {
    return blockValues;
  }

  public int blockBytes() {
    return blockBytes;
  }

  /** Bytes of a row of {@code values} values, its last block filled up. */
  public long rowBytes(int values) {
    return (long) Math.ceilDiv(values, blockValues) * blockBytes;
  }

  /** Bytes of {@code values} values, a whole number of blocks. */
  public long bytes(long values) {
    return values / blockValues * blockBytes;
  }

  /** Whether its values are integers with scales. */
  public boolean isQuantised() {
    return blockValues > 1;
  }

  /** Whether weights can be written in it. */
  public boolean isWritable() {
    return largest > 0;
  }

  /** The largest magnitude that is still finite in it. */
  public float largest() {
    return largest;
  }

  /** The same type in safetensors; null for a quantised one. */
  public Dtype dtype() {
    return Dtype.valueOf(name());
  }

  /** The type of that number, or null. */
  public static Optional<GgmlType> of(long id) {
    return Arrays.stream(values()).filter(type -> type.id == id).findFirst();
  }
}
