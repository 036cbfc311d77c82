package dev.jneox.quant;

import static dev.jneox.quant.Lanes.F;
import static dev.jneox.quant.Lanes.HALF;
import static dev.jneox.quant.Lanes.I;
import static dev.jneox.quant.Lanes.ORDER;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
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
  private static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ORDER);

  public Bf16Weight {
    if (data.byteSize() != 2L * out * in) {
      throw new IllegalArgumentException(out + " x " + in + " bfloat16 values in " + data.byteSize() + " bytes");
    }
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
    int stride = x.stride();
    int end = Math.min(out, toBlock * BLOCK);
    for (int o = fromBlock * BLOCK; o < end; o++) {
      long row = 2L * in * o;
      int to = at + o;
      int r = 0;
      for (; r + 4 <= x.rows(); r += 4) {
        four(row, x.values(), r * stride, stride, y, to + r * ldy, ldy);
      }
      for (; r < x.rows(); r++) {
        y[to + r * ldy] += one(row, x.values(), r * stride);
      }
    }
  }

  // One row of the weight after the other, as they are in memory: several at once would come slower. Two sums for even and odd
  // vectors, because an fma waits for the one before; the same two for one row of activations and for four.

  private float one(long row, float[] x, int x0) {
    FloatVector even = FloatVector.zero(F);
    FloatVector odd = even;
    int i = 0;
    for (int bound = in - in % (2 * L); i < bound; i += 2 * L) {
      even = FloatVector.fromArray(F, x, x0 + i).fma(load(row, i), even);
      odd = FloatVector.fromArray(F, x, x0 + i + L).fma(load(row, i + L), odd);
    }
    return Lanes.total(even.add(odd)) + tail(row, i, x, x0);
  }

  private void four(long row, float[] x, int x0, int stride, float[] y, int y0, int ldy) {
    FloatVector even0 = FloatVector.zero(F);
    FloatVector odd0 = even0;
    FloatVector even1 = even0;
    FloatVector odd1 = even0;
    FloatVector even2 = even0;
    FloatVector odd2 = even0;
    FloatVector even3 = even0;
    FloatVector odd3 = even0;
    int x1 = x0 + stride;
    int x2 = x1 + stride;
    int x3 = x2 + stride;
    int i = 0;
    for (int bound = in - in % (2 * L); i < bound; i += 2 * L) {
      FloatVector w = load(row, i);
      even0 = FloatVector.fromArray(F, x, x0 + i).fma(w, even0);
      even1 = FloatVector.fromArray(F, x, x1 + i).fma(w, even1);
      even2 = FloatVector.fromArray(F, x, x2 + i).fma(w, even2);
      even3 = FloatVector.fromArray(F, x, x3 + i).fma(w, even3);
      w = load(row, i + L);
      odd0 = FloatVector.fromArray(F, x, x0 + i + L).fma(w, odd0);
      odd1 = FloatVector.fromArray(F, x, x1 + i + L).fma(w, odd1);
      odd2 = FloatVector.fromArray(F, x, x2 + i + L).fma(w, odd2);
      odd3 = FloatVector.fromArray(F, x, x3 + i + L).fma(w, odd3);
    }
    float[] sums = Lanes.scratch();
    even0.add(odd0).intoArray(sums, 0);
    even1.add(odd1).intoArray(sums, L);
    even2.add(odd2).intoArray(sums, 2 * L);
    even3.add(odd3).intoArray(sums, 3 * L);
    for (int r = 0; r < 4; r++) {
      y[y0 + r * ldy] += Lanes.total(sums, r * L) + tail(row, i, x, x0 + r * stride);
    }
  }

  /** A bfloat16 is the upper half of an fp32. */
  private FloatVector load(long row, int i) {
    ShortVector bits = ShortVector.fromMemorySegment(HALF, data, row + 2L * i, ORDER);
    return ((IntVector) bits.convertShape(VectorOperators.ZERO_EXTEND_S2I, I, 0))
        .lanewise(VectorOperators.LSHL, 16)
        .reinterpretAsFloats();
  }

  private float tail(long row, int i, float[] x, int x0) {
    float sum = 0;
    for (; i < in; i++) {
      sum = Math.fma(x[x0 + i], Float.intBitsToFloat(data.get(SHORT, row + 2L * i) << 16), sum);
    }
    return sum;
  }
}
