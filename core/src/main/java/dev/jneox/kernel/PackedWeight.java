package dev.jneox.kernel;

import java.lang.foreign.MemorySegment;
import java.util.Objects;

/**
 * The weight {@code [out, in]} of a linear map in the layout its kernels read, over mapped or
 * native memory that the caller keeps alive. Immutable and safe for several threads: the output
 * rows come in blocks of {@value #BLOCK}, and each thread that takes part in a product multiplies
 * some of the blocks. Kernels start no threads and allocate nothing.
 */
public sealed interface PackedWeight permits DenseWeight, Q8Weight, Q4Weight {
  /** Output rows in a block; the last block of a weight may have fewer. */
  int BLOCK = 64;

  /** Output features, the rows of the weight. */
  int out();

  /** Input features, the columns of the weight. */
  int in();

  /** Native memory, which the caller keeps alive. */
  MemorySegment data();

  /** Bytes of memory that one product reads, however many activation rows share it. */
  long bytes();

  /** Units of parallel work. */
  default int blocks() {
    return (out() + BLOCK - 1) / BLOCK;
  }

  /** What this weight reads of its activations. */
  InputRows.Form form();

  /**
   * Adds to {@code y[at + r * ldy + o]}, for every activation row {@code r} and every output row
   * {@code o} of some blocks, the product of activation row and weight row: put the bias, a
   * residual or zero there first. No other element of {@code y} is touched. The sum of a row is the
   * same to the last bit whatever other rows are in {@code x} and however blocks are shared out.
   *
   * @param x rows of {@link #in()} values, made for a weight of this {@link #form()}
   * @param y rows of at least {@link #out()} values
   * @param at the index of the first row's value for output row 0
   * @param ldy values from one row of {@code y} to the next
   * @param fromBlock the first block
   * @param toBlock the block after the last
   */
  void multiply(InputRows x, float[] y, int at, int ldy, int fromBlock, int toBlock);

  /**
   * Fails unless the weight may be multiplied as it is asked to be: kernels read memory by address,
   * so this is the check there is. The memory must be there until the product is done.
   *
   * @throws IllegalArgumentException for activations made for another weight
   * @throws IndexOutOfBoundsException for blocks that are not there
   * @throws IllegalStateException for memory that was freed
   */
  default void check(InputRows x, int fromBlock, int toBlock) {
    x.check(this);
    Objects.checkFromToIndex(fromBlock, toBlock, blocks());
    if (!data().scope().isAlive()) {
      throw new IllegalStateException("the memory of the weight was freed");
    }
  }
}
