package dev.jneox.kernel;

import java.lang.foreign.MemorySegment;

/**
 * Rows of activations as 8-bit codes in groups of {@value #GROUP}: value {@code i} of a group is
 * {@code a[i] * scale} with {@code scale = max|x| / 127} and {@code a[i] = rint(x[i] * (127 /
 * max|x|))}, both divisions and the product in fp32. A group with a NaN or an infinite value has
 * the scale NaN, whatever its codes are, and so have all products with it. How they are kept is the
 * matter of the kernel that multiplies them.
 */
abstract sealed class Int8Rows permits Int8Codes, Int8Coefficients, Int8Tiles {
  static final int GROUP = 32;

  /**
   * Groups whose largest value is below count as zero: the inverse of their scale is no fp32
   * number.
   */
  static final float TINY = 0x1p-100f;

  final int groups;

  /**
   * From a row's first group to the next row's: an odd number, so that those of many rows do not
   * share places of a cache.
   */
  final int stride;

  Int8Rows(int groups) {
    this.groups = groups;
    this.stride = groups | 1;
  }

  /** Returns the scale of a group whose largest magnitude is {@code max}. */
  static float scale(float max) {
    if (max < TINY) {
      return 0;
    }
    return Float.isFinite(max) ? max / 127 : Float.NaN;
  }

  /** Says that so many rows follow. */
  abstract void begin(int rows);

  /**
   * Fills row {@code row} from the {@code GROUP * groups} values in {@code x} from byte {@code at}
   * on; several threads may fill a row each.
   */
  abstract void set(int row, MemorySegment x, long at);
}
