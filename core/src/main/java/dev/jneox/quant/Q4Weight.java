package dev.jneox.quant;

import java.lang.foreign.MemorySegment;

/**
 * 4-bit codes in groups of 32 inputs with a half-precision scale each, the numbers of GGUF's Q4_0 in another order: a weight is
 * {@code (code - 8) * scale}. 4.5 bits a weight. Products see activations rounded to 8 bits ({@link Activations.Form#INT8}).
 *
 * <p><b>Layout.</b> All little-endian. {@code groups} is {@code in / 32} rounded up. The output rows come in blocks of 64, one
 * after the other, the last filled up with rows of zeros. A block is
 *
 * <ol>
 *   <li>codes: {@code short[groups][8][64]}. The short for group g, quad q, lane l holds the codes of inputs {@code 32g + 4q} to
 *       {@code 32g + 4q + 3} of the lane's row, the first in the lowest four bits;
 *   <li>scales: IEEE half precision, {@code [groups][64]}, by lane.
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

  static final int CODE_BYTES = BLOCK * GROUP / 2;
  static final int SCALE_BYTES = BLOCK * 2;

  /** Groups whose sums are kept before they are scaled: their codes and sums stay in the first-level cache. */
  private static final int CHUNK = 32;

  /** A thread's own memory between the two halves of the kernel. */
  private record Scratch(short[] sums, float[] rows) {}

  private static final ThreadLocal<Scratch> SCRATCH =
      ThreadLocal.withInitial(() -> new Scratch(new short[2 * CHUNK * BLOCK], new float[BLOCK]));

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
    return groups(in) * (long) (CODE_BYTES + SCALE_BYTES);
  }

  static int groups(int in) {
    return (in + GROUP - 1) / GROUP;
  }

  /** The row of its block that lane {@code lane} computes. */
  static int row(int lane) {
    return lane / 32 * 32 + lane % 32 / 2 + APART * (lane % 2);
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
    long blockBytes = blockBytes(in);
    for (int b = fromBlock; b < toBlock; b++) {
      MemorySegment block = data.asSlice(b * blockBytes, blockBytes);
      MemorySegment codes = block.asSlice(0, (long) groups * CODE_BYTES);
      MemorySegment scales = block.asSlice((long) groups * CODE_BYTES);
      for (int g = 0; g < groups; g += CHUNK) {
        chunk(codes, scales, g, Math.min(CHUNK, groups - g), rows, x.rows(), scratch, y, at + b * BLOCK, ldy, out - b * BLOCK);
      }
    }
  }

  private static void chunk(
      MemorySegment codes, MemorySegment scales, int g, int n, Int8Rows x, int rows, Scratch scratch,
      float[] y, int at, int ldy, int width) {
    short[] sums = scratch.sums;
    int second = CHUNK * Q4Kernel.ROWS;
    for (int lane = 0; lane < BLOCK; lane += Q4Kernel.ROWS) {
      int codesAt = g * CODE_BYTES + 2 * lane;
      int r = 0;
      for (; r + 2 <= rows; r += 2) {
        int x0 = r * x.groups() + g;
        int x1 = x0 + x.groups();
        Q4Kernel.sums(codes, codesAt, n, x, x0, x1, sums, 0, second);
        scale(scales, g, n, lane, x, x0, scratch, 0, y, at + r * ldy, width);
        scale(scales, g, n, lane, x, x1, scratch, second, y, at + (r + 1) * ldy, width);
      }
      if (r < rows) {
        int x0 = r * x.groups() + g;
        Q4Kernel.sums(codes, codesAt, n, x, x0, sums, 0);
        scale(scales, g, n, lane, x, x0, scratch, 0, y, at + r * ldy, width);
      }
    }
  }

  /** Scales the sums of some lanes and adds them to the rows of {@code y} there are: {@code width} from {@code at} on. */
  private static void scale(
      MemorySegment scales, int g, int n, int lane, Int8Rows x, int x0, Scratch scratch, int s, float[] y, int at, int width) {
    int first = row(lane);
    int second = row(lane + Q4Kernel.ROWS / 2);
    int scalesAt = g * SCALE_BYTES + 2 * lane;
    if (width >= BLOCK) {
      Q4Kernel.scale(scales, scalesAt, n, x, x0, scratch.sums, s, y, at + first, at + second);
      return;
    }
    System.arraycopy(y, at, scratch.rows, 0, width);
    Q4Kernel.scale(scales, scalesAt, n, x, x0, scratch.sums, s, scratch.rows, first, second);
    System.arraycopy(scratch.rows, 0, y, at, width);
  }
}
