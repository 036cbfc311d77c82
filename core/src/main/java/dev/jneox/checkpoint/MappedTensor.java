package dev.jneox.checkpoint;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/**
 * The values of a tensor where they lie, row by row and little-endian; for code that reads weights
 * without libtorch.
 *
 * @param dtype F32, BF16, F16 or F64
 * @param data valid as long as whoever gave it is open
 */
public record MappedTensor(Dtype dtype, MemorySegment data) {
  private static final ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfDouble DOUBLE =
      ValueLayout.JAVA_DOUBLE_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  public MappedTensor {
    if (!dtype.isWeight()) {
      throw new IllegalArgumentException(dtype + " is no type of a weight");
    }
  }

  /** Number of values. */
  public long size() {
    return data.byteSize() * 8 / dtype.bits();
  }

  /** Writes {@code n} values from the {@code from}th on to {@code into[at ...]}. */
  public void read(long from, float[] into, int at, int n) {
    switch (dtype) {
      case F32 -> MemorySegment.copy(data, FLOAT, from * Float.BYTES, into, at, n);
      case BF16 -> {
        for (int i = 0; i < n; i++) {
          into[at + i] = Float.intBitsToFloat(data.get(SHORT, (from + i) * Short.BYTES) << 16);
        }
      }
      case F16 -> {
        for (int i = 0; i < n; i++) {
          into[at + i] = Float.float16ToFloat(data.get(SHORT, (from + i) * Short.BYTES));
        }
      }
      default -> {
        for (int i = 0; i < n; i++) {
          into[at + i] = (float) data.get(DOUBLE, (from + i) * Double.BYTES);
        }
      }
    }
  }

  /**
   * Writes {@code n} values of {@code from[at ...]} to the {@code to}th on, rounded to nearest,
   * ties to even; F32 and BF16 only.
   */
  public void write(long to, float[] from, int at, int n) {
    switch (dtype) {
      case F32 -> MemorySegment.copy(from, at, data, FLOAT, to * Float.BYTES, n);
      case BF16 -> {
        for (int i = 0; i < n; i++) {
          data.set(SHORT, (to + i) * Short.BYTES, bfloat16(from[at + i]));
        }
      }
      default -> throw new IllegalArgumentException("cannot write " + dtype);
    }
  }

  /** The bits of the nearest bfloat16, of two the even one; NaN stays NaN. */
  public static short bfloat16(float x) {
    int bits = Float.floatToRawIntBits(x);
    return Float.isNaN(x) ? (short) 0x7FC0 : (short) (bits + 0x7FFF + (bits >>> 16 & 1) >>> 16);
  }

  /** All values of a tensor that fits an array. */
  public float[] floats() {
    float[] values = new float[Math.toIntExact(size())];
    read(0, values, 0, values.length);
    return values;
  }
}
