package dev.jneox.checkpoint;

import java.util.List;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * The element types of the safetensors format, little-endian, and libtorch's type for each where it
 * has one.
 */
public enum Dtype {
  BOOL(8, ScalarType.Bool),
  F4(4, null),
  F6_E2M3(6, null),
  F6_E3M2(6, null),
  U8(8, ScalarType.Byte),
  I8(8, ScalarType.Char),
  F8_E5M2(8, ScalarType.Float8_e5m2),
  F8_E4M3(8, ScalarType.Float8_e4m3fn),
  F8_E8M0(8, ScalarType.Float8_e8m0fnu),
  F8_E4M3FNUZ(8, ScalarType.Float8_e4m3fnuz),
  F8_E5M2FNUZ(8, ScalarType.Float8_e5m2fnuz),
  I16(16, ScalarType.Short),
  U16(16, ScalarType.UInt16),
  F16(16, ScalarType.Half),
  BF16(16, ScalarType.BFloat16),
  I32(32, ScalarType.Int),
  U32(32, ScalarType.UInt32),
  F32(32, ScalarType.Float),
  C64(64, ScalarType.ComplexFloat),
  F64(64, ScalarType.Double),
  I64(64, ScalarType.Long),
  U64(64, ScalarType.UInt64);

  private final int bits;
  private final ScalarType scalarType;

  Dtype(int bits, ScalarType scalarType) {
    this.bits = bits;
    this.scalarType = scalarType;
  }

  /** Bits of one element. */
  public int bits() {
    return bits;
  }

  /**
   * Bytes of a tensor of this type whose axes have these lengths; -1 when that is no whole number
   * or beyond a long.
   */
  long bytes(List<Long> shape) {
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

  /** libtorch's type, or null for the packed types of less than a byte. */
  public ScalarType scalarType() {
    return scalarType;
  }

  /** Whether a weight may be stored in it as it is: floating point of 16 bits or more. */
  public boolean isWeight() {
    return this == F32 || this == BF16 || this == F16 || this == F64;
  }

  /** The type called {@code name} in a header, or null. */
  public static Dtype of(String name) {
    for (Dtype dtype : values()) {
      if (dtype.name().equals(name)) {
        return dtype;
      }
    }
    return null;
  }

  /** The type that holds libtorch's, or null. */
  public static Dtype of(ScalarType scalarType) {
    for (Dtype dtype : values()) {
      if (dtype.scalarType == scalarType) {
        return dtype;
      }
    }
    return null;
  }
}
