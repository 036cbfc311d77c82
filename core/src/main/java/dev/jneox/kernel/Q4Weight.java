package dev.jneox.kernel;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.ref.Reference;

/**
 * 4-bit codes in groups of 32 inputs with a half-precision scale each, the numbers of GGUF's Q4_0
 * in another order: a weight is {@code (code - 8) * scale}. 4.5 bits a weight. Products see
 * activations rounded to 8 bits ({@link Activations.Form#INT8}).
 *
 * <p><b>Layout.</b> All little-endian, in the order it is read. The output rows come in blocks of
 * 64, one after the other, the last filled up with rows of zeros. A block is its groups, {@code in
 * / 32} rounded up, one after the other. A group is
 *
 * <ol>
 *   <li>codes: {@code int[4][64]}. The int for oct o and row r holds the codes of the group's
 *       inputs {@code 8o} to {@code 8o + 7}, the first in the lowest four bits;
 *   <li>scales: 64 numbers in IEEE half precision, of rows 0, 32, 1, 33, ... 31, 63.
 * </ol>
 *
 * Codes that stand for no weight are 8 and scales that belong to no row are 0.
 *
 * @param data {@link #bytes(int, int)} bytes
 */
public record Q4Weight(int out, int in, MemorySegment data) implements PackedWeight {
  /** Inputs that share a scale. */
  public static final int GROUP = Int8Rows.GROUP;

  /** Two neighbouring scales are those of rows this far apart. */
  static final int APART = BLOCK / 2;

  /** Bytes of a group's codes and of its scales, in a block. */
  static final int CODE_BYTES = BLOCK * GROUP / 2;

  static final int GROUP_BYTES = CODE_BYTES + BLOCK * 2;

  /**
   * Most groups that are multiplied with all activation rows before the next: they stay in the
   * first-level cache.
   */
  private static final int CHUNK = 8;

  /**
   * From so many activation rows on the codes are shifted once for all of them, and are then four
   * times as large: {@value #EXPANDED_CHUNK} groups of them still stay in the first-level cache.
   */
  private static final int EXPANDED_ROWS = 16;

  private static final int EXPANDED_CHUNK = 4;

  /**
   * Activation rows that are multiplied with all blocks before the next: with their results they
   * stay in the second-level cache.
   */
  private static final int STRIP = 64;

  /** A thread's own memory between the parts of the kernel in Java. */
  private record Scratch(MemorySegment sums, MemorySegment scales, MemorySegment expanded) {
    Scratch() {
      this(
          bytes(4 * CHUNK * BLOCK),
          bytes(4 * CHUNK * BLOCK),
          bytes(EXPANDED_CHUNK * Q4Kernel.EXPANDED_BYTES));
    }

    private static MemorySegment bytes(long n) {
      return Arena.ofAuto().allocate(n, 64);
    }
  }

  private static final ThreadLocal<Scratch> SCRATCH = ThreadLocal.withInitial(Scratch::new);

  public Q4Weight {
    if (data.byteSize() != bytes(out, in)) {
      throw new IllegalArgumentException(
          out
              + " x "
              + in
              + " weights of 4 bits take "
              + bytes(out, in)
              + " bytes, given "
              + data.byteSize());
    }
    Lanes.checkNative(data);
  }

  /** Bytes of a weight {@code [out, in]} in this layout. */
  public static long bytes(int out, int in) {
    return (long) (out + BLOCK - 1) / BLOCK * blockBytes(in);
  }

  static long blockBytes(int in) {
    return (long) groups(in) * GROUP_BYTES;
  }

  static int groups(int in) {
    return (in + GROUP - 1) / GROUP;
  }

  /** Where the scale of a block's row stands among the scales. */
  static int place(int row) {
    return row % APART * 2 + row / APART;
  }

  @Override
  public long bytes() {
    return data.byteSize();
  }

  @Override
  public Activations.Form form() {
    return Activations.Form.INT8;
  }

  @Override
  public void multiply(Activations x, float[] y, int at, int ldy, int fromBlock, int toBlock) {
    check(x, fromBlock, toBlock);
    switch (x.int8()) {
      case Int8Tiles tiles -> multiply(tiles, x.rows(), y, at, ldy, fromBlock, toBlock);
      case Int8Coefficients coefficients ->
          multiply(coefficients, x.rows(), y, at, ldy, fromBlock, toBlock);
    }
    Reference.reachabilityFence(data);
    Reference.reachabilityFence(x);
  }

  /** In machine code. */
  private void multiply(
      Int8Tiles x, int rows, float[] y, int at, int ldy, int fromBlock, int toBlock) {
    int groups = groups(in);
    Tile tile = Tile.of(Math.min(STRIP, Int8Tiles.padded(rows)), BLOCK);
    for (int first = 0; first < rows; first += STRIP) {
      int n = Math.min(STRIP, rows - first);
      for (int b = fromBlock; b < toBlock; b++) {
        int width = Math.min(BLOCK, out - b * BLOCK);
        long block = data.address() + b * blockBytes(in);
        int to = at + first * ldy + b * BLOCK;
        tile.read(y, to, ldy, n, width);
        if (rows == 1) {
          Q4Code.one(block, groups, x.address(0, 0), tile.row(0));
        } else {
          for (int g = 0; g < groups; g += CHUNK) {
            for (int r = 0; r < n; r += Int8Tiles.ROWS) {
              long from = block + (long) g * GROUP_BYTES;
              Q4Code.four(from, Math.min(CHUNK, groups - g), x.address(first + r, g), tile.row(r));
            }
          }
        }
        tile.write(y, to, ldy, n, width);
      }
    }
  }

  /** In Java. */
  private void multiply(
      Int8Coefficients x, int rows, float[] y, int at, int ldy, int fromBlock, int toBlock) {
    Scratch scratch = SCRATCH.get();
    int groups = groups(in);
    int chunk = rows < EXPANDED_ROWS ? CHUNK : EXPANDED_CHUNK;
    Tile tile = Tile.of(rows, BLOCK);
    for (int b = fromBlock; b < toBlock; b++) {
      int width = Math.min(BLOCK, out - b * BLOCK);
      long block = data.address() + b * blockBytes(in);
      tile.read(y, at + b * BLOCK, ldy, rows, width);
      for (int g = 0; g < groups; g += chunk) {
        chunk(
            block + (long) g * GROUP_BYTES, g, Math.min(chunk, groups - g), x, rows, scratch, tile);
      }
      tile.write(y, at + b * BLOCK, ldy, rows, width);
    }
  }

  /**
   * {@code n} groups of a block from {@code from} on, for all activation rows: after the first they
   * find the codes in a cache.
   */
  private static void chunk(
      long from, int g, int n, Int8Coefficients x, int rows, Scratch scratch, Tile tile) {
    long sums = scratch.sums.address();
    long scales = scratch.scales.address();
    long expanded = rows < EXPANDED_ROWS ? 0 : scratch.expanded.address();
    if (expanded != 0) {
      Q4Kernel.expand(from, n, expanded);
    }
    for (int r = 0; r < rows; r++) {
      long first = x.first(r) + g;
      if (expanded != 0) {
        Q4Kernel.sumsOfExpanded(expanded, n, x.coefficients(first), x.starts(first), sums);
      } else {
        Q4Kernel.sums(from, n, x.coefficients(first), x.starts(first), sums);
      }
      if (r == 0) {
        Q4Kernel.scales(from, n, scales); // after the codes: memory comes fastest in its own order
      }
      Q4Kernel.scale(n, sums, scales, x.scales(first), tile.row(r));
    }
  }
}
