package dev.jneox.kernel;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/** Says how weights are stored: little-endian numbers, whatever the CPU, in native memory. */
final class StoredNumbers {
  static final ByteOrder ORDER = ByteOrder.LITTLE_ENDIAN;

  static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ORDER);
  static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ORDER);
  static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ORDER);
  static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ORDER);

  private StoredNumbers() {}

  /** Refuses a weight on the Java heap: most kernels read by address, which it does not have. */
  static void checkNative(MemorySegment data) {
    if (!data.isNative()) {
      throw new IllegalArgumentException(
          "a weight in native memory is expected, given one on the Java heap");
    }
  }
}
