package dev.jneox.quant;

import java.lang.foreign.MemorySegment;

/**
 * Signed 8-bit codes in groups of 32 inputs with a half-precision scale each, the numbers of GGUF's Q8_0 in another order: a
 * weight is {@code code * scale}. 8.5 bits a weight. Activations stay fp32.
 *
 * <p><b>Layout.</b> All little-endian, in the order it is read. The output rows come in tiles of 32, one after the other, the
 * last filled up with rows of zeros. A tile is its groups, {@code in / 32} rounded up, one after the other. A group is
 *
 * <ol>
 *   <li>codes: {@code byte[8][32][4]}. The four bytes for quad q and row r are the codes of the group's inputs {@code 4q} to
 *       {@code 4q + 3};
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

  /** Groups whose sums are kept before they are scaled: all of this stays in the first-level cache. */
  private static final int CHUNK = 8;

  /** A thread's own memory between the two halves of the kernel. */
  private record Scratch(float[] sums, float[] sums2, float[] scales, float[] y) {
    Scratch() {
      this(new float[CHUNK * TILE], new float[CHUNK * TILE], new float[CHUNK * TILE], new float[TILE]);
    }
  }

  private static final ThreadLocal<Scratch> SCRATCH = ThreadLocal.withInitial(Scratch::new);

  public Q8Weight {
    if (data.byteSize() != bytes(out, in)) {
      throw new IllegalArgumentException(
          out + " x " + in + " weights of 8 bits take " + bytes(out, in) + " bytes, given " + data.byteSize());
    }
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
    x.check(this);
    Scratch scratch = SCRATCH.get();
    int groups = groups(in);
    int end = Math.min(out, toBlock * BLOCK);
    for (int o = fromBlock * BLOCK; o < end; o += TILE) {
      int width = Math.min(TILE, end - o);
      for (int g = 0; g < groups; g += CHUNK) {
        long from = o / TILE * tileBytes(in) + (long) g * GROUP_BYTES;
        for (int row = 0; row < width; row += Q8Kernel.ROWS) {
          chunk(from, row, g, Math.min(CHUNK, groups - g), x, scratch, y, at + o, ldy, width);
        }
      }
    }
  }

  /** {@code n} groups of {@link Q8Kernel#ROWS} output rows, for all activation rows. */
  private void chunk(
      long from, int row, int g, int n, Activations x, Scratch scratch, float[] y, int at, int ldy, int width) {
    int x0 = g * GROUP;
    int r = 0;
    for (; r + 2 <= x.rows(); r += 2) {
      int xr = x0 + r * x.stride();
      Q8Kernel.sums(data, from, row, n, x.values(), xr, xr + x.stride(), scratch.sums, scratch.sums2);
      scales(from, row, r, n, scratch);
      scale(n, row, scratch.sums, scratch, y, at + r * ldy, width);
      scale(n, row, scratch.sums2, scratch, y, at + (r + 1) * ldy, width);
    }
    if (r < x.rows()) {
      Q8Kernel.sums(data, from, row, n, x.values(), x0 + r * x.stride(), scratch.sums);
      scales(from, row, r, n, scratch);
      scale(n, row, scratch.sums, scratch, y, at + r * ldy, width);
    }
  }

  /** Widens the scales of a tile's chunk when they are first needed, after the codes: memory comes fastest in its own order. */
  private void scales(long from, int row, int r, int n, Scratch scratch) {
    if (row == 0 && r == 0) {
      Q8Kernel.scales(data, from, n, scratch.scales);
    }
  }

  /** Scales the sums of some rows and adds them to the {@code width} rows of {@code y} there are from {@code at} on. */
  private static void scale(int n, int row, float[] sums, Scratch scratch, float[] y, int at, int width) {
    if (width == TILE) {
      Q8Kernel.scale(n, sums, scratch.scales, row, y, at + row);
      return;
    }
    System.arraycopy(y, at, scratch.y, 0, width);
    Q8Kernel.scale(n, sums, scratch.scales, row, scratch.y, row);
    System.arraycopy(scratch.y, 0, y, at, width);
  }
}
