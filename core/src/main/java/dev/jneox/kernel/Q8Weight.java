package dev.jneox.kernel;

import java.lang.foreign.MemorySegment;
import java.lang.ref.Reference;

/**
 * Signed 8-bit codes in groups of 32 inputs with a half-precision scale each, the numbers of GGUF's
 * Q8_0 in another order: a weight is {@code code * scale}. 8.5 bits a weight. InputRows stay fp32.
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
   * @throws IllegalArgumentException if the memory has another size
   */
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
    StoredNumbers.checkNative(data);
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

  /** Where the scale of a tile's row stands among the scales. */
  static int place(int row) {
    return row % APART * 2 + row / APART;
  }

  @Override
  public long bytes() {
    return data.byteSize();
  }

  @Override
  public InputRows.Form form() {
    return InputRows.Form.FLOAT;
  }

  @Override
  public void multiply(InputRows x, float[] y, int at, int ldy, int fromBlock, int toBlock) {
    check(x, fromBlock, toBlock);
    x.kernels().multiply(this, x, y, at, ldy, fromBlock, toBlock);
    Reference.reachabilityFence(data);
    Reference.reachabilityFence(x);
  }
}
