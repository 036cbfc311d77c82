package dev.jneox.kernel;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * A thread's own native memory for the results of some output rows and all activation rows, side by
 * side: where they go they are thousands of values apart, mostly a power of two, so that many would
 * share a few places of a cache.
 */
final class Tile {
  private static final ThreadLocal<Tile> OWN = ThreadLocal.withInitial(Tile::new);

  private MemorySegment memory = MemorySegment.NULL;
  private long address;
  private int width;

  private Tile() {}

  /** The thread's tile of {@code rows} rows of {@code width} values. */
  static Tile of(int rows, int width) {
    Tile tile = OWN.get();
    long bytes = 4L * rows * width;
    if (tile.memory.byteSize() < bytes) {
      tile.memory = Arena.ofAuto().allocate(bytes, 64);
      tile.address = tile.memory.address();
    }
    tile.width = width;
    return tile;
  }

  /** The address of a row. */
  long row(int r) {
    return address + 4L * r * width;
  }

  /** Reads the first {@code n} values of {@code rows} rows from {@code y[at + r * ldy ...]}. */
  void read(float[] y, int at, int ldy, int rows, int n) {
    for (int r = 0; r < rows; r++) {
      MemorySegment.copy(y, at + r * ldy, memory, ValueLayout.JAVA_FLOAT, 4L * r * width, n);
    }
  }

  /** Writes them back. */
  void write(float[] y, int at, int ldy, int rows, int n) {
    for (int r = 0; r < rows; r++) {
      MemorySegment.copy(memory, ValueLayout.JAVA_FLOAT, 4L * r * width, y, at + r * ldy, n);
    }
  }
}
