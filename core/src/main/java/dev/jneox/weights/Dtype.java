package dev.jneox.weights;

import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/** The element types of the safetensors format, little-endian. */
public enum Dtype {
  /** One byte, 0 or 1. */
  BOOL(8),
  /** 4-bit float, E2M1. */
  F4(4),
  /** 6-bit float. */
  F6_E2M3(6),
  /** 6-bit float. */
  F6_E3M2(6),
  /** Unsigned integer. */
  U8(8),
  /** Signed integer. */
  I8(8),
  /** 8-bit float. */
  F8_E5M2(8),
  /** 8-bit float. */
  F8_E4M3(8),
  /** 8-bit exponent, a scale. */
  F8_E8M0(8),
  /** 8-bit float without infinities and negative zero. */
  F8_E4M3FNUZ(8),
  /** 8-bit float without infinities and negative zero. */
  F8_E5M2FNUZ(8),
  /** Signed integer. */
  I16(16),
  /** Unsigned integer. */
  U16(16),
  /** Half precision. */
  F16(16),
  /** bfloat16. */
  BF16(16),
  /** Signed integer. */
  I32(32),
  /** Unsigned integer. */
  U32(32),
  /** Single precision. */
  F32(32),
  /** Complex number of two single-precision floats. */
  C64(64),
  /** Double precision. */
  F64(64),
  /** Signed integer. */
  I64(64),
  /** Unsigned integer. */
  U64(64);

  private final int bits;

  Dtype(int bits) {
    this.bits = bits;
  }

  /** Returns the bits of one element. */
  public int bits() {
    return bits;
  }

  /**
   * Returns the bytes of a tensor with these axes; -1 when they are no whole number or exceed a
   * long.
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

  /** Returns the alignment that an element's address should have, in bytes. */
  public int alignment() {
    return Math.max(1, bits / 8);
  }

  /** Returns whether a weight may be stored in this type: floating point of 16 bits or more. */
  public boolean isWeight() {
    return this == F32 || this == BF16 || this == F16 || this == F64;
  }

  /** Returns the type with a name in a header; empty for an unknown name. */
  public static Optional<Dtype> of(String name) {
    return Arrays.stream(values()).filter(dtype -> dtype.name().equals(name)).findFirst();
  }
}
