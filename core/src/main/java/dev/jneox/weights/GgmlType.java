package dev.jneox.weights;

import java.util.Arrays;
import java.util.Map;
import java.util.Optional;

/**
 * Lists how ggml stores the elements of a tensor: in blocks of a fixed number of values from one
 * row. {@code Q} types hold small integers and a scale for each block, {@code _K} types blocks
 * within blocks. {@link GgmlBlocks} has the layouts.
 */
public enum GgmlType {
  /** Single precision. */
  F32(0, 1, 4, Float.MAX_VALUE),
  /** Half precision. */
  F16(1, 1, 2, 65504),
  /** 32 integers of 4 bits and one scale. */
  Q4_0(2, 32, 18, 65504f * 8),
  /** 32 integers of 4 bits, one scale and one minimum. */
  Q4_1(3, 32, 20, 0),
  /** 32 integers of 5 bits and one scale. */
  Q5_0(6, 32, 22, 0),
  /** 32 integers of 5 bits, one scale and one minimum. */
  Q5_1(7, 32, 24, 0),
  /** 32 integers of 8 bits and one scale. */
  Q8_0(8, 32, 34, 65504f * 127),
  /** 256 integers of 2 bits; 16 scales and minima. */
  Q2_K(10, 256, 84, 0),
  /** 256 integers of 3 bits; 16 scales. */
  Q3_K(11, 256, 110, 0),
  /** 256 integers of 4 bits; 8 scales and minima. */
  Q4_K(12, 256, 144, 0),
  /** 256 integers of 5 bits; 8 scales and minima. */
  Q5_K(13, 256, 176, 0),
  /** 256 integers of 6 bits; 16 scales. */
  Q6_K(14, 256, 210, 0),
  /** 32 integers of 4 bits that choose one of 16 unequal steps, and one scale. */
  IQ4_NL(20, 32, 18, 0),
  /** bfloat16. */
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

  /** Returns ggml's number of the type in files. */
  public int id() {
    return id;
  }

  /** Returns the values of one block; a row is a whole number of blocks. */
  public int blockValues() {
    return blockValues;
  }

  /** Returns the bytes of one block. */
  public int blockBytes() {
    return blockBytes;
  }

  /** Returns the bytes of a row of {@code values} values, with the last block padded. */
  public long rowBytes(int values) {
    return (long) Math.ceilDiv(values, blockValues) * blockBytes;
  }

  /** Returns the bytes of {@code values} values, which are a whole number of blocks. */
  public long bytes(long values) {
    return values / blockValues * blockBytes;
  }

  /** Returns whether values are integers with scales. */
  public boolean isQuantised() {
    return blockValues > 1;
  }

  /** Returns whether weights can be written in this type. */
  public boolean isWritable() {
    return largest > 0;
  }

  /** Returns the largest finite magnitude of the type; 0 where it is not written. */
  public float largest() {
    return largest;
  }

  /** Returns the same type in safetensors; empty for a quantised type. */
  public Optional<Dtype> dtype() {
    return Dtype.of(name());
  }

  /** ggml's types that are not read, for messages. */
  private static final Map<Long, String> OTHERS =
      Map.ofEntries(
          Map.entry(9L, "Q8_1"),
          Map.entry(15L, "Q8_K"),
          Map.entry(16L, "IQ2_XXS"),
          Map.entry(17L, "IQ2_XS"),
          Map.entry(18L, "IQ3_XXS"),
          Map.entry(19L, "IQ1_S"),
          Map.entry(21L, "IQ3_S"),
          Map.entry(22L, "IQ2_S"),
          Map.entry(23L, "IQ4_XS"),
          Map.entry(24L, "I8"),
          Map.entry(25L, "I16"),
          Map.entry(26L, "I32"),
          Map.entry(27L, "I64"),
          Map.entry(28L, "F64"),
          Map.entry(29L, "IQ1_M"),
          Map.entry(34L, "TQ1_0"),
          Map.entry(35L, "TQ2_0"),
          Map.entry(39L, "MXFP4"),
          Map.entry(40L, "NVFP4"),
          Map.entry(41L, "Q1_0"));

  /** Returns ggml's name of a type that is not read; its number where that is unknown too. */
  public static String nameOf(long id) {
    return OTHERS.getOrDefault(id, "number " + id);
  }

  /** Returns the type with a number in a file; empty for an unknown number. */
  public static Optional<GgmlType> of(long id) {
    return Arrays.stream(values()).filter(type -> type.id == id).findFirst();
  }
}
