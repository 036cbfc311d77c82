package dev.jneox.weights;

import dev.jneox.kernel.Vectors;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.stream.LongStream;

/**
 * Counts the values of a tensor that are not finite. A float whose exponent bits are all ones is an
 * infinity or NaN.
 *
 * @param nans how many are NaN
 * @param infinities how many are infinite
 * @param first row-major index of the first one; -1 when there is none
 */
public record NonFinite(long nans, long infinities, long first) {
  /** Found nothing. */
  public static final NonFinite NONE = new NonFinite(0, 0, -1);

  /** Bytes tested at once; a block with a hit is then counted value by value. */
  private static final int BLOCK = Vectors.BLOCK_BYTES;

  /** Bytes that one task tests. */
  private static final long SHARE = 1 << 22;

  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfInt INT =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfLong LONG =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  /** Counts in little-endian F32, F64, F16 or BF16 values, on all cores, at the speed of memory. */
  public static NonFinite in(MemorySegment data, Dtype dtype) {
    if (!dtype.isWeight()) {
      throw new IllegalArgumentException(dtype + " is not a type of weights");
    }
    return LongStream.range(0, Math.ceilDiv(data.byteSize(), SHARE))
        .parallel()
        .mapToObj(
            share ->
                share(data, dtype, share * SHARE, Math.min(data.byteSize(), (share + 1) * SHARE)))
        .reduce(NONE, NonFinite::plus);
  }

  private NonFinite plus(NonFinite other) {
    return new NonFinite(
        nans + other.nans, infinities + other.infinities, first >= 0 ? first : other.first);
  }

  private static NonFinite share(MemorySegment data, Dtype dtype, long from, long to) {
    NonFinite found = NONE;
    for (long at = from; at < to; at += BLOCK) {
      MemorySegment block = data.asSlice(at, Math.min(BLOCK, to - at));
      if (block.byteSize() < BLOCK
          || Vectors.anyWithBits(block, dtype.bits() / 8, exponent(dtype))) {
        found = found.plus(count(block, dtype, at / (dtype.bits() / 8)));
      }
    }
    return found;
  }

  private static long exponent(Dtype dtype) {
    return switch (dtype) {
      case F32 -> 0x7F80_0000L;
      case F64 -> 0x7FF0_0000_0000_0000L;
      case BF16 -> 0x7F80L;
      default -> 0x7C00L;
    };
  }

  private static NonFinite count(MemorySegment block, Dtype dtype, long place) {
    int size = dtype.bits() / 8;
    long exponent = exponent(dtype);
    long magnitude = -1L >>> 65 - dtype.bits();
    long nans = 0;
    long infinities = 0;
    long first = -1;
    for (long i = 0; i < block.byteSize() / size; i++) {
      long bits =
          switch (size) {
            case 2 -> block.get(SHORT, i * 2);
            case 4 -> block.get(INT, i * 4);
            default -> block.get(LONG, i * 8);
          };
      if ((bits & exponent) == exponent) {
        if ((bits & magnitude) == exponent) {
          infinities++;
        } else {
          nans++;
        }
        first = first < 0 ? place + i : first;
      }
    }
    return new NonFinite(nans, infinities, first);
  }
}
