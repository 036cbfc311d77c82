package dev.jneox.weights;

import dev.jneox.kernel.Workers;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.function.Consumer;
import java.util.stream.LongStream;

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

  /** Most bytes that {@link #convert} makes at a time. */
  private static final long PIECE = 64 << 20;

  /** Values that a thread converts at a time. */
  private static final int STRIP = 1 << 14;

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
   * ties to even.
   */
  public void write(long to, float[] from, int at, int n) {
    switch (dtype) {
      case F32 -> MemorySegment.copy(from, at, data, FLOAT, to * Float.BYTES, n);
      case BF16 -> {
        for (int i = 0; i < n; i++) {
          data.set(SHORT, (to + i) * Short.BYTES, bfloat16(from[at + i]));
        }
      }
      case F16 -> {
        for (int i = 0; i < n; i++) {
          data.set(SHORT, (to + i) * Short.BYTES, Float.floatToFloat16(from[at + i]));
        }
      }
      default -> {
        for (int i = 0; i < n; i++) {
          data.set(DOUBLE, (to + i) * Double.BYTES, from[at + i]);
        }
      }
    }
  }

  /** The bits of the nearest bfloat16, of two the even one; NaN stays NaN. */
  public static short bfloat16(float x) {
    int bits = Float.floatToRawIntBits(x);
    return Float.isNaN(x) ? (short) 0x7FC0 : (short) (bits + 0x7FFF + (bits >>> 16 & 1) >>> 16);
  }

  /** The {@code i}th value. */
  public double value(long i) {
    return switch (dtype) {
      case F32 -> data.get(FLOAT, i * Float.BYTES);
      case BF16 -> Float.intBitsToFloat(data.get(SHORT, i * Short.BYTES) << 16);
      case F16 -> Float.float16ToFloat(data.get(SHORT, i * Short.BYTES));
      default -> data.get(DOUBLE, i * Double.BYTES);
    };
  }

  /** Sets the {@code i}th value, rounded to the type; to one of 16 bits through fp32. */
  public void set(long i, double value) {
    switch (dtype) {
      case F32 -> data.set(FLOAT, i * Float.BYTES, (float) value);
      case BF16 -> data.set(SHORT, i * Short.BYTES, bfloat16((float) value));
      case F16 -> data.set(SHORT, i * Short.BYTES, Float.floatToFloat16((float) value));
      default -> data.set(DOUBLE, i * Double.BYTES, value);
    }
  }

  /** The largest magnitude, by all cores; NaN if there is any. */
  public double largestMagnitude() {
    return LongStream.range(0, Math.ceilDiv(size(), STRIP))
        .parallel()
        .mapToDouble(
            s -> {
              float[] strip = new float[STRIP];
              int n = (int) Math.min(STRIP, size() - s * STRIP);
              read(s * STRIP, strip, 0, n);
              float largest = 0;
              for (int i = 0; i < n; i++) {
                largest = Math.max(largest, Math.abs(strip[i]));
              }
              return largest;
            })
        .reduce(0, Math::max);
  }

  /** Bytes of {@code n} values. */
  public long bytes(long n) {
    return n * dtype.bits() / 8;
  }

  /** {@code n} values from the {@code from}th on. */
  public MappedTensor slice(long from, long n) {
    return new MappedTensor(dtype, data.asSlice(bytes(from), bytes(n)));
  }

  /**
   * Hands out all values as {@code wanted}, in order and a piece of at most 64 MB at a time: those
   * in memory where the types are the same, else converted ones that go when {@code each} returns.
   */
  public void convert(Dtype wanted, Consumer<MemorySegment> each) {
    long atOnce = PIECE / (wanted.bits() / 8);
    if (wanted == dtype) {
      for (long at = 0; at < size(); at += atOnce) {
        each.accept(slice(at, Math.min(atOnce, size() - at)).data());
      }
      return;
    }
    try (Arena arena = Arena.ofShared()) {
      MappedTensor piece =
          new MappedTensor(wanted, arena.allocate(Math.min(PIECE, size() * wanted.bits() / 8), 64));
      for (long at = 0; at < size(); at += atOnce) {
        long first = at;
        long n = Math.min(atOnce, size() - at);
        Workers.all()
            .forEach(
                Math.toIntExact(Math.ceilDiv(n, STRIP)),
                (from, to, thread) -> {
                  float[] strip = new float[STRIP];
                  for (int s = from; s < to; s++) {
                    long begin = (long) s * STRIP;
                    int count = (int) Math.min(STRIP, n - begin);
                    read(first + begin, strip, 0, count);
                    piece.write(begin, strip, 0, count);
                  }
                });
        each.accept(piece.slice(0, n).data());
      }
    }
  }

  /** All values of a tensor that fits an array. */
  public float[] floats() {
    float[] values = new float[Math.toIntExact(size())];
    read(0, values, 0, values.length);
    return values;
  }
}
