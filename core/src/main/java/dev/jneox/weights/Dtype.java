package dev.jneox.weights;

import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/** The element types of the safetensors format, little-endian. */
public enum Dtype {
  BOOL(8),
  F4(4),
  F6_E2M3(6),
  F6_E3M2(6),
  U8(8),
  I8(8),
  F8_E5M2(8),
  F8_E4M3(8),
  F8_E8M0(8),
  F8_E4M3FNUZ(8),
  F8_E5M2FNUZ(8),
  I16(16),
  U16(16),
  F16(16),
  BF16(16),
  I32(32),
  U32(32),
  F32(32),
  C64(64),
  F64(64),
  I64(64),
  U64(64);

  private final int bits;

  Dtype(int bits) {
    this.bits = bits;
  }

  /** Bits of one element. */
  public int bits() {
    return bits;
  }

  /**
   * Bytes of a tensor of this type whose axes have these lengths; -1 when that is no whole number
   * or beyond a long.
   */
  public long bytes(List<Long> shape) {
    try {
      long total = bits;
      for (long n : shape) {
        total = Math.multiplyExact(total, n);
      }
      return total % 8 == 0 ? total / 8 : -1;
    } catch (ArithmeticException e) {
      return -1;
    }
  }

  /** The multiple of bytes an element's address should have. */
  public int alignment() {
    return Math.max(1, bits / 8);
  }

  /** Whether a weight may be stored in it as it is: floating point of 16 bits or more. */
  public boolean isWeight() {
    return this == F32 || this == BF16 || this == F16 || this == F64;
  }

  /** The type called {@code name} in a header, or null. */
  public static Optional<Dtype> of(String name) {
    return Arrays.stream(values()).filter(dtype -> dtype.name().equals(name)).findFirst();
  }
}
