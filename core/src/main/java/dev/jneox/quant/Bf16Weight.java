package dev.jneox.quant;

import static dev.jneox.quant.Lanes.F;
import static dev.jneox.quant.Lanes.HALF;
import static dev.jneox.quant.Lanes.I;
import static dev.jneox.quant.Lanes.MEMORY;
import static dev.jneox.quant.Lanes.ORDER;
import static dev.jneox.quant.Lanes.TOP;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.ref.Reference;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorOperators;

/**
 * bfloat16 values as safetensors holds them: little-endian, row after row, so that a mapped tensor needs no copy.
 *
 * @param data {@code out * in * 2} bytes
 */
public record Bf16Weight(int out, int in, MemorySegment data) implements PackedWeight {
  private static final int L = F.length();
  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ORDER);
  private static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ORDER);

  public Bf16Weight {
    if (data.byteSize() != 2L * out * in) {
      throw new IllegalArgumentException(out + " x " + in + " bfloat16 values in " + data.byteSize() + " bytes");
    }
    Lanes.checkNative(data);
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
    long next = x.row(1) - x.row(0);
    int end = Math.min(out, toBlock * BLOCK);
    for (int o = fromBlock * BLOCK; o < end; o++) {
      long row = data.address() + 2L * in * o;
      int to = at + o;
      int r = 0;
      for (; r + 4 <= x.rows(); r += 4) {
        four(row, x.row(r), next, y, to + r * ldy, ldy);
      }
      for (; r < x.rows(); r++) {
        y[to + r * ldy] += one(row, x.row(r));
      }
    }
    Reference.reachabilityFence(data);
    Reference.reachabilityFence(x);
  }

  // One row of the weight after the other, as they are in memory: several at once would come slower. Two sums for even and odd
  // vectors, because an fma waits for the one before; the same two for one row of activations and for four.

  private float one(long row, long x) {
    FloatVector even = FloatVector.zero(F);
    FloatVector odd = even;
    int i = 0;
    for (int bound = in - in % (2 * L); i < bound; i += 2 * L) {
      even = FloatVector.fromMemorySegment(F, MEMORY, x + 4L * i & TOP, ORDER).fma(load(row, i), even);
      odd = FloatVector.fromMemorySegment(F, MEMORY, x + 4L * (i + L) & TOP, ORDER).fma(load(row, i + L), odd);
    }
    return Lanes.total(even.add(odd)) + tail(row, i, x);
  }

  private void four(long row, long x0, long next, float[] y, int y0, int ldy) {
    FloatVector even0 = FloatVector.zero(F);
    FloatVector odd0 = even0;
    FloatVector even1 = even0;
    FloatVector odd1 = even0;
    FloatVector even2 = even0;
    FloatVector odd2 = even0;
    FloatVector even3 = even0;
    FloatVector odd3 = even0;
    long x1 = x0 + next;
    long x2 = x1 + next;
    long x3 = x2 + next;
    int i = 0;
    for (int bound = in - in % (2 * L); i < bound; i += 2 * L) {
      FloatVector w = load(row, i);
      even0 = FloatVector.fromMemorySegment(F, MEMORY, x0 + 4L * i & TOP, ORDER).fma(w, even0);
      even1 = FloatVector.fromMemorySegment(F, MEMORY, x1 + 4L * i & TOP, ORDER).fma(w, even1);
      even2 = FloatVector.fromMemorySegment(F, MEMORY, x2 + 4L * i & TOP, ORDER).fma(w, even2);
      even3 = FloatVector.fromMemorySegment(F, MEMORY, x3 + 4L * i & TOP, ORDER).fma(w, even3);
      w = load(row, i + L);
      odd0 = FloatVector.fromMemorySegment(F, MEMORY, x0 + 4L * (i + L) & TOP, ORDER).fma(w, odd0);
      odd1 = FloatVector.fromMemorySegment(F, MEMORY, x1 + 4L * (i + L) & TOP, ORDER).fma(w, odd1);
      odd2 = FloatVector.fromMemorySegment(F, MEMORY, x2 + 4L * (i + L) & TOP, ORDER).fma(w, odd2);
      odd3 = FloatVector.fromMemorySegment(F, MEMORY, x3 + 4L * (i + L) & TOP, ORDER).fma(w, odd3);
    }
    float[] sums = Lanes.scratch();
    even0.add(odd0).intoArray(sums, 0);
    even1.add(odd1).intoArray(sums, L);
    even2.add(odd2).intoArray(sums, 2 * L);
    even3.add(odd3).intoArray(sums, 3 * L);
    for (int r = 0; r < 4; r++) {
      y[y0 + r * ldy] += Lanes.total(sums, r * L) + tail(row, i, x0 + r * next);
    }
  }

  /** A bfloat16 is the upper half of an fp32. */
  private static FloatVector load(long row, int i) {
    ShortVector bits = ShortVector.fromMemorySegment(HALF, MEMORY, row + 2L * i & TOP, ORDER);
    return ((IntVector) bits.convertShape(VectorOperators.ZERO_EXTEND_S2I, I, 0))
        .lanewise(VectorOperators.LSHL, 16)
        .reinterpretAsFloats();
  }

  private float tail(long row, int i, long x) {
    float sum = 0;
    for (; i < in; i++) {
      sum = Math.fma(MEMORY.get(FLOAT, x + 4L * i), Float.intBitsToFloat(MEMORY.get(SHORT, row + 2L * i) << 16), sum);
    }
    return sum;
  }
}
