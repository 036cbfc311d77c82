package dev.jneox.format.gguf;

import dev.jneox.io.JsonObject;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * Holds a metadata value of a GGUF file.
 *
 * @param type of the value; for an array, of its elements
 * @param value a {@code Long} for integers (for a UINT64, its bits), a {@code Double}, a {@code
 *     Boolean} or a {@code String}; for an array {@code long[]} (also of booleans, 0 or 1), {@code
 *     double[]} or {@code List<String>}
 */
public record GgufValue(Type type, Object value) {
  /** Lists the types of the format, in the order of their numbers. */
  public enum Type {
    /** 8 bits, unsigned. */
    UINT8(1),
    /** 8 bits, signed. */
    INT8(1),
    /** 16 bits, unsigned. */
    UINT16(2),
    /** 16 bits, signed. */
    INT16(2),
    /** 32 bits, unsigned. */
    UINT32(4),
    /** 32 bits, signed. */
    INT32(4),
    /** Single precision. */
    FLOAT32(4),
    /** One byte, 0 or 1. */
    BOOL(1),
    /** UTF-8 with its length. */
    STRING(0),
    /** Elements of one type with their number. */
    ARRAY(0),
    /** 64 bits, unsigned. */
    UINT64(8),
    /** 64 bits, signed. */
    INT64(8),
    /** Double precision. */
    FLOAT64(8);

    private final int bytes;

    Type(int bytes) {
      this.bytes = bytes;
    }

    /** Returns the bytes of a value; 0 where they depend on it. */
    int bytes() {
      return bytes;
    }

    boolean isReal() {
      return this == FLOAT32 || this == FLOAT64;
    }

    /** Returns the type of a number in a file; null for an unknown number. */
    static @Nullable Type of(long id) {
      return id >= 0 && id < values().length ? values()[(int) id] : null;
    }
  }

  /** Creates a UINT32. */
  public static GgufValue u32(long value) {
    if (value != (value & 0xFFFFFFFFL)) {
      throw new IllegalArgumentException(value + " does not fit in 32 bits");
    }
    return new GgufValue(Type.UINT32, value);
  }

  /** Creates a FLOAT32. */
  public static GgufValue f32(double value) {
    return new GgufValue(Type.FLOAT32, (double) (float) value);
  }

  /** Creates a BOOL. */
  public static GgufValue flag(boolean value) {
    return new GgufValue(Type.BOOL, value);
  }

  /** Creates a STRING. */
  public static GgufValue text(String value) {
    return new GgufValue(Type.STRING, value);
  }

  /** Creates an ARRAY of STRING. */
  public static GgufValue texts(List<String> values) {
    return new GgufValue(Type.STRING, List.copyOf(values));
  }

  /** Creates an ARRAY of INT32. */
  public static GgufValue i32s(int[] values) {
    return new GgufValue(Type.INT32, IntStream.of(values).asLongStream().toArray());
  }

  /** Returns whether the value is an array. */
  public boolean isArray() {
    return value instanceof List || value instanceof long[] || value instanceof double[];
  }

  /** Returns the number of elements of an array; 1 for a single value. */
  public int size() {
    return switch (value) {
      case List<?> list -> list.size();
      case long[] integers -> integers.length;
      case double[] reals -> reals.length;
      default -> 1;
    };
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof GgufValue that
        && type == that.type
        && Arrays.deepEquals(new Object[] {value}, new Object[] {that.value});
  }

  @Override
  public int hashCode() {
    return Arrays.deepHashCode(new Object[] {type, value});
  }

  /** Formats the value for messages, cut when long. */
  @Override
  public String toString() {
    return isArray()
        ? size() + " values of " + type
        : JsonObject.shortened(String.valueOf(value)) + " (" + type + ")";
  }
}
