package dev.jneox.data;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.Optional;

/**
 * Lists the little-endian element types of Megatron's {@code .bin} and NumPy's {@code .npy} files.
 */
public enum ElementType {
  /** 8 bits, unsigned. */
  U8(1, 1, "|u1"),
  /** 8 bits, signed. */
  I8(2, 1, "|i1"),
  /** 16 bits, signed. */
  I16(3, 2, "<i2"),
  /** 32 bits, signed. */
  I32(4, 4, "<i4"),
  /** 64 bits, signed. */
  I64(5, 8, "<i8"),
  /** Single precision. */
  F32(6, 4, "<f4"),
  /** Double precision. */
  F64(7, 8, "<f8"),
  /** 16 bits, unsigned. */
  U16(8, 2, "<u2"),
  /** 32 bits, unsigned. NumPy has it, Megatron has no code for it. */
  U32(0, 4, "<u4");

  static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  static final ValueLayout.OfInt INT =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  static final ValueLayout.OfLong LONG =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private final int code;
  private final int bytes;
  private final String descr;

  ElementType(int code, int bytes, String descr) {
    this.code = code;
    this.bytes = bytes;
    this.descr = descr;
  }

  /** Returns the code in a Megatron {@code .idx} header. */
  public int code() {
    return code;
  }

  /** Returns the bytes of one element. */
  public int bytes() {
    return bytes;
  }

  /** Returns NumPy's name, for example {@code <i4}. */
  public String descr() {
    return descr;
  }

  /** Returns whether elements are integers, as token ids are. */
  public boolean isInteger() {
    return this != F32 && this != F64;
  }

  static Optional<ElementType> ofCode(int code) {
    return Arrays.stream(values()).filter(type -> type.code == code && code != 0).findFirst();
  }

  static Optional<ElementType> ofDescr(String descr) {
    return Arrays.stream(values()).filter(type -> type.descr.equals(descr)).findFirst();
  }

  /** Reads element {@code index} of {@code data}, which holds integers of this type. */
  long get(MemorySegment data, long index) {
    return switch (this) {
      case U8 -> data.get(ValueLayout.JAVA_BYTE, index) & 0xFF;
      case I8 -> data.get(ValueLayout.JAVA_BYTE, index);
      case U16 -> data.get(SHORT, 2 * index) & 0xFFFF;
      case I16 -> data.get(SHORT, 2 * index);
      case I32 -> data.get(INT, 4 * index);
      case U32 -> data.get(INT, 4 * index) & 0xFFFF_FFFFL;
      case I64 -> data.get(LONG, 8 * index);
      case F32, F64 -> throw new IllegalStateException(this + " is no integer type");
    };
  }

  /**
   * Writes {@code value}, truncated to this integer type, as element {@code index} of {@code data}.
   */
  void set(MemorySegment data, long index, long value) {
    switch (this) {
      case U8, I8 -> data.set(ValueLayout.JAVA_BYTE, index, (byte) value);
      case U16, I16 -> data.set(SHORT, 2 * index, (short) value);
      case I32, U32 -> data.set(INT, 4 * index, (int) value);
      case I64 -> data.set(LONG, 8 * index, value);
      case F32, F64 -> throw new IllegalStateException(this + " is no integer type");
    }
  }
}
