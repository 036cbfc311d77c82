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
    int end = Math.min(out, toBlock * BLOCK);
    for (int o = fromBlock * BLOCK; o < end; o += 4) {
      int n = Math.min(4, end - o);
      MemorySegment rows = data.asSlice(2L * in * o, 2L * in * n);
      for (int r = 0; r < x.rows(); r++) {
        int x0 = r * x.stride();
        int y0 = at + r * ldy + o;
        if (n == 4) {
          four(rows, x.values(), x0, y, y0);
        } else {
          for (int i = 0; i < n; i++) {
            y[y0 + i] += dot(rows.asSlice(2L * in * i, 2L * in), x.values(), x0);
          }
        }
      }
    }
  }

  private void four(MemorySegment rows, float[] x, int x0, float[] y, int y0) {
    FloatVector s0 = FloatVector.zero(F);
    FloatVector s1 = s0;
    FloatVector s2 = s0;
    FloatVector s3 = s0;
    long next = 2L * in;
    int bound = F.loopBound(in);
    for (int i = 0; i < bound; i += F.length()) {
      FloatVector v = FloatVector.fromArray(F, x, x0 + i);
      long offset = 2L * i;
      s0 = v.fma(widen(rows, offset), s0);
      s1 = v.fma(widen(rows, offset + next), s1);
      s2 = v.fma(widen(rows, offset + 2 * next), s2);
      s3 = v.fma(widen(rows, offset + 3 * next), s3);
    }
    y[y0] += Lanes.total(s0) + tail(rows, 0, bound, x, x0);
    y[y0 + 1] += Lanes.total(s1) + tail(rows, next, bound, x, x0);
    y[y0 + 2] += Lanes.total(s2) + tail(rows, 2 * next, bound, x, x0);
    y[y0 + 3] += Lanes.total(s3) + tail(rows, 3 * next, bound, x, x0);
  }

  private float dot(MemorySegment row, float[] x, int x0) {
    FloatVector s = FloatVector.zero(F);
    int bound = F.loopBound(in);
    for (int i = 0; i < bound; i += F.length()) {
      s = FloatVector.fromArray(F, x, x0 + i).fma(widen(row, 2L * i), s);
    }
    return Lanes.total(s) + tail(row, 0, bound, x, x0);
  }

  /** A bfloat16 is the upper half of an fp32. */
  private static FloatVector widen(MemorySegment rows, long offset) {
    ShortVector bits = ShortVector.fromMemorySegment(HALF, rows, offset, ORDER);
    return ((IntVector) bits.convertShape(VectorOperators.ZERO_EXTEND_S2I, I, 0))
        .lanewise(VectorOperators.LSHL, 16)
        .reinterpretAsFloats();
  }

  private float tail(MemorySegment rows, long row, int from, float[] x, int x0) {
    float sum = 0;
    for (int i = from; i < in; i++) {
      sum = Math.fma(x[x0 + i], Float.intBitsToFloat(rows.get(SHORT, row + 2L * i) << 16), sum);
    }
    return sum;
  }
}
