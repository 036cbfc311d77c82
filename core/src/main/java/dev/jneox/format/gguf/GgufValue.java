package dev.jneox.format.gguf;

import dev.jneox.io.JsonObject;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * A metadata value of a GGUF file.
 *
 * @param type what it is stored as; for an array, what its elements are
 * @param value a {@code Long} for the integers (of a UINT64, its bits), a {@code Double}, a {@code
 *     Boolean} or a {@code String}; for an array {@code long[]} (of booleans too, 0 or 1), {@code
 *     double[]} or {@code List<String>}
 */
public record GgufValue(Type type, Object value) {
  /** The types of the format. */
  public enum Type {
    UINT8(1),
    INT8(1),
    UINT16(2),
    INT16(2),
    UINT32(4),
    INT32(4),
    FLOAT32(4),
    BOOL(1),
    STRING(0),
    ARRAY(0),
    UINT64(8),
    INT64(8),
    FLOAT64(8);

    private final int bytes;

    Type(int bytes) {
      this.bytes = bytes;
    }

    /** Returns the bytes of one; 0 where that depends on the value. */
    int bytes() {
      return bytes;
    }

    boolean isReal() {
      return this == FLOAT32 || this == FLOAT64;
    }

    /** Returns the type of that number in a file, or null. */
    static @Nullable Type of(long id) {
      return id >= 0 && id < values().length ? values()[(int) id] : null;
    }
  }

  public static GgufValue u32(long value) {
    if (value != (value & 0xFFFFFFFFL)) {
      throw new IllegalArgumentException(value + " does not fit in 32 bits");
    }
    return new GgufValue(Type.UINT32, value);
  }

  public static GgufValue f32(double value) {
    return new GgufValue(Type.FLOAT32, (double) (float) value);
  }

  public static GgufValue flag(boolean value) {
    return new GgufValue(Type.BOOL, value);
  }

  public static GgufValue text(String value) {
    return new GgufValue(Type.STRING, value);
  }

  public static GgufValue texts(List<String> values) {
    return new GgufValue(Type.STRING, List.copyOf(values));
  }

  public static GgufValue i32s(int[] values) {
    return new GgufValue(Type.INT32, IntStream.of(values).asLongStream().toArray());
  }

  public boolean isArray() {
    return value instanceof List || value instanceof long[] || value instanceof double[];
  }

  /** Returns how many elements an array has; 1 for a single value. */
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

  /** As shown in a message: cut when long. */
  @Override
  public String toString() {
    return isArray()
        ? size() + " values of " + type
        : JsonObject.shortened(String.valueOf(value)) + " (" + type + ")";
  }
}
