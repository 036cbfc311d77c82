package dev.jneox.kernel;

import static dev.jneox.kernel.Memory.MEMORY;
import static dev.jneox.kernel.StoredNumbers.FLOAT;
import static dev.jneox.kernel.StoredNumbers.SHORT;

import java.lang.foreign.MemorySegment;
import java.lang.ref.Reference;

/**
 * Numbers as safetensors holds them: little-endian, row after row, so that a mapped tensor needs no
 * copy.
 *
 * @param data {@code out * in} numbers
 */
public record DenseWeight(int out, int in, Type type, MemorySegment data) implements PackedWeight {
  /** What the numbers are; activations and sums are fp32. */
  public enum Type {
    /** 4 bytes. */
    F32,
    /** bfloat16, 2 bytes. */
    BF16;

    /** Bytes of a number. */
    public int bytes() {
      return this == F32 ? Float.BYTES : Short.BYTES;
    }
  }

  /**
   * @throws IllegalArgumentException if the memory has another size
   */
  public DenseWeight {
    if (data.byteSize() != (long) type.bytes() * out * in) {
      throw new IllegalArgumentException(
          out + " x " + in + " numbers of " + type + " in " + data.byteSize() + " bytes");
    }
    StoredNumbers.checkNative(data);
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

  /**
   * The product of the inputs from {@code i} on, too few for a kernel's step.
   *
   * @param row address of a row of the weight
   * @param x address of a row of activations
   */
  float tail(long row, int i, long x) {
    float sum = 0;
    for (; i < in; i++) {
      float w =
          type == Type.F32
              ? MEMORY.get(FLOAT, row + 4L * i)
              : Float.intBitsToFloat(MEMORY.get(SHORT, row + 2L * i) << 16);
      sum = Math.fma(MEMORY.get(FLOAT, x + 4L * i), w, sum);
    }
    return sum;
  }
}
