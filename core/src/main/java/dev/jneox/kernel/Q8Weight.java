package dev.jneox.kernel;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.ref.Reference;

/**
 * Signed 8-bit codes in groups of 32 inputs with a half-precision scale each, the numbers of GGUF's
 * Q8_0 in another order: a weight is {@code code * scale}. 8.5 bits a weight. Activations stay
 * fp32.
 *
 * <p><b>Layout.</b> All little-endian, in the order it is read. The output rows come in tiles of
 * 32, one after the other, the last filled up with rows of zeros. A tile is its groups, {@code in /
 * 32} rounded up, one after the other. A group is
 *
 * <ol>
 *   <li>codes: {@code byte[8][32][4]}. The four bytes for quad q and row r are the codes of the
 *       group's inputs {@code 4q} to {@code 4q + 3};
 *   <li>scales: 32 numbers in IEEE half precision, of rows 0, 16, 1, 17, ... 15, 31.
 * </ol>
 *
 * Codes that stand for no weight and scales that belong to no row are 0.
 *
 * @param data {@link #bytes(int, int)} bytes
 */
public record Q8Weight(int out, int in, MemorySegment data) implements PackedWeight {
  /** Inputs that share a scale. */
  public static final int GROUP = 32;

  /** Output rows of a tile. */
  static final int TILE = 32;

  /** Two neighbouring scales are those of rows this far apart. */
  static final int APART = TILE / 2;

  static final int CODE_BYTES = TILE * GROUP;

  /** Bytes of a group in a tile. */
  static final int GROUP_BYTES = CODE_BYTES + TILE * 2;

  /**
   * Most groups that are multiplied with all activation rows before the next, see {@link Q4Weight}.
   */
  private static final int CHUNK = 8;

  /** Bytes of the sums of a chunk with one activation row. */
  private static final int SUM_BYTES = 4 * CHUNK * TILE;

  /** A thread's own memory between the two halves of the kernel. */
  private record Scratch(MemorySegment sums, MemorySegment scales) {
    Scratch() {
      this(Arena.ofAuto().allocate(2 * SUM_BYTES, 64), Arena.ofAuto().allocate(SUM_BYTES, 64));
    }
  }

  private static final ThreadLocal<Scratch> SCRATCH = ThreadLocal.withInitial(Scratch::new);

  public Q8Weight {
    if (data.byteSize() != bytes(out, in)) {
      throw new IllegalArgumentException(
          out
              + " x "
              + in
              + " weights of 8 bits take "
              + bytes(out, in)
              + " bytes, given "
              + data.byteSize());
    }
    Lanes.checkNative(data);
  }

  /** Bytes of a weight {@code [out, in]} in this layout. */
  public static long bytes(int out, int in) {
    return (long) (out + TILE - 1) / TILE * tileBytes(in);
  }

  static long tileBytes(int in) {
    return (long) groups(in) * GROUP_BYTES;
  }

  static int groups(int in) {
    return (in + GROUP - 1) / GROUP;
  }

  @Override
  public long bytes() {
    return data.byteSize();
  }

  @Override
  public Activations.Form form() {
    return Activations.Form.FLOAT;
  }

  @Override
  public void multiply(Activations x, float[] y, int at, int ldy, int fromBlock, int toBlock) {
    check(x, fromBlock, toBlock);
    int groups = groups(in);
    int end = Math.min(out, toBlock * BLOCK);
    Tile results = Tile.of(x.rows(), TILE);
    for (int o = fromBlock * BLOCK; o < end; o += TILE) {
      int width = Math.min(TILE, end - o);
      long tile = data.address() + o / TILE * tileBytes(in);
      results.read(y, at + o, ldy, x.rows(), width);
      for (int g = 0; g < groups; g += CHUNK) {
        long from = tile + (long) g * GROUP_BYTES;
        int n = Math.min(CHUNK, groups - g);
        if (x.machineCode()) {
          codeChunk(from, g, n, x, results);
        } else {
          chunk(from, g, n, x, results);
        }
      }
      results.write(y, at + o, ldy, x.rows(), width);
    }
    Reference.reachabilityFence(data);
    Reference.reachabilityFence(x);
  }

  /** {@code n} groups of a tile from {@code from} on, for all activation rows, in machine code. */
  private static void codeChunk(long from, int g, int n, Activations x, Tile results) {
    long x0 = 4L * g * GROUP;
    int r = 0;
    for (; r + Q8Code.ROWS <= x.rows(); r += Q8Code.ROWS) {
      Q8Code.four(from, n, x.row(r) + x0, results.row(r), x.row(1) - x.row(0));
    }
    for (; r < x.rows(); r++) {
      Q8Code.one(from, n, x.row(r) + x0, results.row(r));
    }
  }

  /** The same in Java. */
  private static void chunk(long from, int g, int n, Activations x, Tile results) {
    Scratch scratch = SCRATCH.get();
    long sums = scratch.sums.address();
    long scales = scratch.scales.address();
    long x0 = 4L * g * GROUP;
    int r = 0;
    for (; r + 2 <= x.rows(); r += 2) {
      for (int row = 0; row < TILE; row += Q8Kernel.ROWS) {
        long to = sums + 4 * row;
        Q8Kernel.sums(from + 4 * row, n, x.row(r) + x0, x.row(r + 1) + x0, to, to + SUM_BYTES);
      }
      if (r == 0) {
        Q8Kernel.scales(from, n, scales); // after the codes: memory comes fastest in its own order
      }
      Q8Kernel.scale(n, sums, scales, results.row(r));
      Q8Kernel.scale(n, sums + SUM_BYTES, scales, results.row(r + 1));
    }
    if (r < x.rows()) {
      Q8Kernel.sums(from, n, x.row(r) + x0, sums);
      if (r == 0) {
        Q8Kernel.scales(from, n, scales);
      }
      Q8Kernel.scale(n, sums, scales, results.row(r));
    }
  }
}
