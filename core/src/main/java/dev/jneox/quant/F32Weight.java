package dev.jneox.quant;

import static dev.jneox.quant.Lanes.F;
import static dev.jneox.quant.Lanes.ORDER;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.FloatVector;

/**
 * fp32 values as safetensors holds them: little-endian, row after row, so that a mapped tensor needs no copy.
 *
 * @param data {@code out * in * 4} bytes
 */
public record F32Weight(int out, int in, MemorySegment data) implements PackedWeight {
  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ORDER);

  public F32Weight {
    if (data.byteSize() != 4L * out * in) {
      throw new IllegalArgumentException(out + " x " + in + " fp32 values in " + data.byteSize() + " bytes");
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
      MemorySegment rows = data.asSlice(4L * in * o, 4L * in * n);
      for (int r = 0; r < x.rows(); r++) {
        int x0 = r * x.stride();
        int y0 = at + r * ldy + o;
        if (n == 4) {
          four(rows, x.values(), x0, y, y0);
        } else {
          for (int i = 0; i < n; i++) {
            y[y0 + i] += dot(rows.asSlice(4L * in * i, 4L * in), x.values(), x0);
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
    long next = 4L * in;
    int bound = F.loopBound(in);
    for (int i = 0; i < bound; i += F.length()) {
      FloatVector v = FloatVector.fromArray(F, x, x0 + i);
      long offset = 4L * i;
      s0 = v.fma(FloatVector.fromMemorySegment(F, rows, offset, ORDER), s0);
      s1 = v.fma(FloatVector.fromMemorySegment(F, rows, offset + next, ORDER), s1);
      s2 = v.fma(FloatVector.fromMemorySegment(F, rows, offset + 2 * next, ORDER), s2);
      s3 = v.fma(FloatVector.fromMemorySegment(F, rows, offset + 3 * next, ORDER), s3);
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
      s = FloatVector.fromArray(F, x, x0 + i).fma(FloatVector.fromMemorySegment(F, row, 4L * i, ORDER), s);
    }
    return Lanes.total(s) + tail(row, 0, bound, x, x0);
  }

  private float tail(MemorySegment rows, long row, int from, float[] x, int x0) {
    float sum = 0;
    for (int i = from; i < in; i++) {
      sum = Math.fma(x[x0 + i], rows.get(FLOAT, row + 4L * i), sum);
    }
    return sum;
  }
}
