package dev.jneox.quant;

import java.lang.foreign.MemorySegment;

/**
 * 4-bit codes in groups of 32 inputs with a half-precision scale each, the numbers of GGUF's Q4_0 in another order: a weight is
 * {@code (code - 8) * scale}. 4.5 bits a weight. Products see activations rounded to 8 bits ({@link Activations.Form#INT8}).
 *
 * <p><b>Layout.</b> All little-endian, in the order it is read. The output rows come in blocks of 64, one after the other, the
 * last filled up with rows of zeros. A block is its groups, {@code in / 32} rounded up, one after the other. A group is
 *
 * <ol>
 *   <li>codes: {@code short[8][64]}. The short for quad q and lane l holds the codes of the group's inputs {@code 4q} to
 *       {@code 4q + 3} of the lane's row, the first in the lowest four bits;
 *   <li>scales: 64 numbers in IEEE half precision, by lane.
 * </ol>
 *
 * Lane l is row {@code 32 (l / 32) + l % 32 / 2 + 16 (l % 2)} of the block: 0, 16, 1, 17, ... 15, 31, 32, 48, ... Codes that
 * stand for no weight are 8 and scales that belong to no row are 0.
 *
 * @param data {@link #bytes(int, int)} bytes
 */
public record Q4Weight(int out, int in, MemorySegment data) implements PackedWeight {
  /** Inputs that share a scale. */
  public static final int GROUP = Int8Rows.GROUP;

  /** Two neighbouring lanes are rows this far apart. */
  static final int APART = 16;

  /** Bytes of a group's codes and of its scales, in a block. */
  static final int CODE_BYTES = BLOCK * GROUP / 2;

  static final int GROUP_BYTES = CODE_BYTES + BLOCK * 2;

  /**
   * Groups whose sums are kept before they are scaled. One row waits for memory, which comes most evenly when little is done in
   * between; many rows find the codes in the first-level cache, and are better off with fewer, longer calls.
   */
  private static final int CHUNK = 8;

  private static final int LONG_CHUNK = 16;
  private static final int MANY_ROWS = 8;

  /** A thread's own memory between the two halves of the kernel. */
  private record Scratch(short[] sums, float[] scales, float[] y) {
    Scratch() {
      this(new short[4 * LONG_CHUNK * BLOCK], new float[LONG_CHUNK * BLOCK], new float[BLOCK]);
    }
  }

  private static final ThreadLocal<Scratch> SCRATCH = ThreadLocal.withInitial(Scratch::new);

  public Q4Weight {
    if (data.byteSize() != bytes(out, in)) {
      throw new IllegalArgumentException(
          out + " x " + in + " weights of 4 bits take " + bytes(out, in) + " bytes, given " + data.byteSize());
    }
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

  /** The row of its block that lane {@code lane} computes. */
  static int row(int lane) {
    return lane / 32 * 32 + lane % 32 / 2 + APART * (lane % 2);
  }

  /** The lane that computes row {@code row} of its block: the inverse of {@link #row}. */
  static int lane(int row) {
    return row / 32 * 32 + row % APART * 2 + row % 32 / APART;
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
    x.check(this);
    Int8Rows rows = x.int8();
    Scratch scratch = SCRATCH.get();
    int groups = groups(in);
    int chunk = x.rows() < MANY_ROWS ? CHUNK : LONG_CHUNK;
    for (int b = fromBlock; b < toBlock; b++) {
      int to = at + b * BLOCK;
      int width = Math.min(BLOCK, out - b * BLOCK);
      for (int g = 0; g < groups; g += chunk) {
        long from = b * blockBytes(in) + (long) g * GROUP_BYTES;
        for (int lane = 0; lane < BLOCK; lane += Q4Kernel.ROWS) {
          chunk(from + 2 * lane, g, Math.min(chunk, groups - g), lane, rows, x.rows(), scratch, y, to, ldy, width);
        }
      }
    }
  }

  /** {@code n} groups of {@link Q4Kernel#ROWS} lanes, for all activation rows: after the first they find the codes in a cache. */
  private void chunk(
      long from, int g, int n, int lane, Int8Rows x, int rows, Scratch scratch, float[] y, int at, int ldy, int width) {
    int next = x.groups();
    int r = 0;
    for (; r + 4 <= rows; r += 4) {
      int x0 = r * next + g;
      Q4Kernel.sums(data, from, n, x, x0, x0 + next, x0 + 2 * next, x0 + 3 * next, scratch.sums);
      if (r == 0) {
        Q4Kernel.scales(data, from, n, scratch.scales);
      }
      for (int i = 0; i < 4; i++) {
        scale(n, lane, x, x0 + i * next, i * n * Q4Kernel.ROWS, scratch, y, at + (r + i) * ldy, width);
      }
    }
    for (; r < rows; r++) {
      Q4Kernel.sums(data, from, n, x, r * next + g, scratch.sums);
      if (r == 0) {
        Q4Kernel.scales(data, from, n, scratch.scales); // after the codes: memory comes fastest in its own order
      }
      scale(n, lane, x, r * next + g, 0, scratch, y, at + r * ldy, width);
    }
  }

  /** Scales the sums of some lanes and adds them to the {@code width} rows of {@code y} there are from {@code at} on. */
  private static void scale(int n, int lane, Int8Rows x, int x0, int s, Scratch scratch, float[] y, int at, int width) {
    int first = row(lane);
    int second = row(lane + Q4Kernel.ROWS / 2);
    if (width == BLOCK) {
      Q4Kernel.scale(n, x, x0, scratch.sums, s, scratch.scales, y, at + first, at + second);
      return;
    }
    System.arraycopy(y, at, scratch.y, 0, width);
    Q4Kernel.scale(n, x, x0, scratch.sums, s, scratch.scales, scratch.y, first, second);
    System.arraycopy(scratch.y, 0, y, at, width);
  }
}
