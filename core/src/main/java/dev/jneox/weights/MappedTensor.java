package dev.jneox.weights;

import dev.jneox.kernel.Workers;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.function.Consumer;
import java.util.stream.LongStream;

/**
 * Reads and writes the values of a tensor in memory, row by row and little-endian, without
 * libtorch.
 *
 * @param dtype F32, BF16, F16 or F64
 * @param data valid until its owner is closed
 */
public record MappedTensor(Dtype dtype, MemorySegment data) {
  private static final ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfDouble DOUBLE =
      ValueLayout.JAVA_DOUBLE_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  /** The most bytes that {@link #convert} holds at a time. */
  private static final long PIECE = 64 << 20;

  /** Values that a thread converts at a time. */
  private static final int STRIP = 1 << 14;

  /** Checks the type. */
  public MappedTensor {
    if (!dtype.isWeight()) {
      throw new IllegalArgumentException(dtype + " is not a type of weights");
    }
  }

  /** Returns the number of values. */
  public long size() {
    return data.byteSize() * 8 / dtype.bits();
  }

  /** Copies {@code n} values from index {@code from} on to {@code into[at ...]}, in fp32. */
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
   * Writes {@code n} values of {@code from[at ...]} from index {@code to} on, rounded to nearest,
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

  /** Rounds to the nearest bfloat16, ties to even; NaN stays NaN. Returns its bits. */
  public static short bfloat16(float x) {
    int bits = Float.floatToRawIntBits(x);
    return Float.isNaN(x) ? (short) 0x7FC0 : (short) (bits + 0x7FFF + (bits >>> 16 & 1) >>> 16);
  }

  /** Returns the value at an index. */
  public double value(long i) {
    return switch (dtype) {
      case F32 -> data.get(FLOAT, i * Float.BYTES);
      case BF16 -> Float.intBitsToFloat(data.get(SHORT, i * Short.BYTES) << 16);
      case F16 -> Float.float16ToFloat(data.get(SHORT, i * Short.BYTES));
      default -> data.get(DOUBLE, i * Double.BYTES);
    };
  }

  /** Sets the value at an index, rounded to the type; to a 16-bit type through fp32. */
  public void set(long i, double value) {
    switch (dtype) {
      case F32 -> data.set(FLOAT, i * Float.BYTES, (float) value);
      case BF16 -> data.set(SHORT, i * Short.BYTES, bfloat16((float) value));
      case F16 -> data.set(SHORT, i * Short.BYTES, Float.floatToFloat16((float) value));
      default -> data.set(DOUBLE, i * Double.BYTES, value);
    }
  }

  /** Returns the largest magnitude, computed on all cores; NaN if any value is NaN. */
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

  /** Returns the bytes of {@code n} values. */
  public long bytes(long n) {
    return n * dtype.bits() / 8;
  }

  /** Returns a view of {@code n} values from index {@code from} on. */
  public MappedTensor slice(long from, long n) {
    return new MappedTensor(dtype, data.asSlice(bytes(from), bytes(n)));
  }

  /**
   * Passes all values as type {@code wanted} to {@code each}, in order, in pieces of at most 64 MB.
   * Where the types are equal a piece is a view of this tensor, else a converted copy that is freed
   * when {@code each} returns.
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

  /** Copies all values, at most an array's worth, to fp32. */
  public float[] floats() {
    float[] values = new float[Math.toIntExact(size())];
    read(0, values, 0, values.length);
    return values;
  }
}
