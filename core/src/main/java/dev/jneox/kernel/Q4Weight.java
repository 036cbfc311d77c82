package dev.jneox.kernel;

import java.lang.foreign.MemorySegment;
import java.lang.ref.Reference;

/**
 * 4-bit codes in groups of 32 inputs with a half-precision scale each, the numbers of GGUF's Q4_0
 * in another order: a weight is {@code (code - 8) * scale}. 4.5 bits a weight. Products see
 * activations rounded to 8 bits ({@link InputRows.Form#INT8}).
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
   * @throws IllegalArgumentException if the memory has another size
   */
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
    StoredNumbers.checkNative(data);
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
  public InputRows.Form form() {
    return InputRows.Form.INT8;
  }

  @Override
  public void multiply(InputRows x, float[] y, int at, int ldy, int fromBlock, int toBlock) {
    check(x, fromBlock, toBlock);
    x.kernels().multiply(this, x, y, at, ldy, fromBlock, toBlock);
    Reference.reachabilityFence(data);
    Reference.reachabilityFence(x);
  }
}
