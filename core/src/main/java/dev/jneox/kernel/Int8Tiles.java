package dev.jneox.kernel;

import static dev.jneox.kernel.Memory.MEMORY;
import static dev.jneox.kernel.StoredNumbers.INT;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * {@link Int8Rows} in the form {@link Q4Code} multiplies: one row on its own, or more in tiles of
 * {@value #ROWS}. A group of a tile of {@code w} rows is, in the order it is read,
 *
 * <ol>
 *   <li>codes: {@code byte[4][2][w][4]}. For each eight inputs those with even numbers of each row,
 *       then those with odd ones;
 *   <li>starts: {@code short[w][2]}, what the two sums of a row begin with: minus eight times the
 *       codes of the first four of every eight inputs, and of the last four;
 *   <li>scales: {@code float[w]}.
 * </ol>
 */
final class Int8Tiles extends Int8Rows {
  /** Rows of a tile. */
  static final int ROWS = 4;

  private static final int CODE_INTS = GROUP / 4;

  private final MemorySegment tiles;
  private final long address;
  private int width;

  Int8Tiles(int rows, int groups) {
    super(groups);
    this.tiles = Arena.ofAuto().allocate((long) padded(rows) * stride * bytes(1), 64);
    this.address = tiles.address();
  }

  /** Rows that are multiplied for {@code rows} rows. */
  static int padded(int rows) {
    return rows == 1 ? 1 : (rows + ROWS - 1) / ROWS * ROWS;
  }

  /** Bytes of a group. */
  static int bytes(int width) {
    return 4 * width * (CODE_INTS + 2);
  }

  /** Returns the offset in a group of a row's codes: the even (0) or odd (1) of eight inputs. */
  static int codes(int width, int row, int oct, int parity) {
    return 4 * (width * (2 * oct + parity) + row);
  }

  static int start(int width, int row) {
    return 4 * (width * CODE_INTS + row);
  }

  static int scale(int width, int row) {
    return 4 * (width * (CODE_INTS + 1) + row);
  }

  /**
   * The address of a group of the tile that begins with row {@code row}; the others of the tile
   * follow.
   */
  long address(int row, int group) {
    return address + ((long) (row / width) * stride + group) * bytes(width);
  }

  @Override
  void begin(int rows) {
    width = rows == 1 ? 1 : ROWS;
    // Rows that fill up the last tile. Their results are not used, but what lay there before could
    // be subnormal, and slow to multiply.
    for (int row = rows; row < padded(rows); row++) {
      for (int g = 0; g < groups; g++) {
        MEMORY.set(INT, address(row, g) + scale(width, row % width), 0);
      }
    }
  }

  @Override
  void set(int row, MemorySegment x, long at) {
    Int8Code.row(x.address() + at, groups, address(row, 0) + 4 * (row % width), width);
  }
}
