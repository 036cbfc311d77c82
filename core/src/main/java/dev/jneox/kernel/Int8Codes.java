package dev.jneox.kernel;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** {@link Int8Rows} as they are described: codes and scales. */
final class Int8Codes extends Int8Rows {
  /** {@code [rows][in]}, filled up to whole groups. */
  final byte[][] codes;

  /** {@code [rows][groups]}. */
  final float[][] scales;

  Int8Codes(int rows, int groups) {
    super(groups);
    this.codes = new byte[rows][groups * GROUP];
    this.scales = new float[rows][groups];
  }

  @Override
  void begin(int rows) {}

  @Override
  void set(int row, MemorySegment x, long at) {
    for (int g = 0; g < groups; g++) {
      float max = 0;
      for (int i = GROUP * g; i < GROUP * (g + 1); i++) {
        max = Math.max(max, Math.abs(x.get(ValueLayout.JAVA_FLOAT, at + 4L * i)));
      }
      boolean zero = max < TINY;
      float inverse = zero ? 0 : 127 / max;
      for (int i = GROUP * g; i < GROUP * (g + 1); i++) {
        float value = x.get(ValueLayout.JAVA_FLOAT, at + 4L * i);
        codes[row][i] = (byte) Math.rint(value * inverse);
      }
      scales[row][g] = scale(max);
    }
  }
}
