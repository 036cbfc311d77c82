package dev.jneox.kernel;

import static dev.jneox.kernel.Lanes.F;
import static dev.jneox.kernel.Lanes.HALF;
import static dev.jneox.kernel.Lanes.I;
import static dev.jneox.kernel.Lanes.MEMORY;
import static dev.jneox.kernel.Lanes.ORDER;
import static dev.jneox.kernel.Lanes.TOP;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.ref.Reference;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorOperators;

/**
 * Numbers as safetensors holds them: little-endian, row after row, so that a mapped tensor needs no
 * copy.
 *
 * @param data {@code out * in} numbers
 */
public record DenseWeight(int out, int in, Type type, MemorySegment data) implements PackedWeight {
  /** What the numbers are; activations and sums are fp32. */
  public enum Type {
    F32,
    BF16;

    /** Bytes of a number. */
    public int bytes() {
      return this == F32 ? Float.BYTES : Short.BYTES;
    }
  }

  private static final int L = F.length();
  private static final ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ORDER);
  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ORDER);

  /** Activation rows that share a load of the weight. */
  static final int ROWS = 4;

  public DenseWeight {
    if (data.byteSize() != (long) type.bytes() * out * in) {
      throw new IllegalArgumentException(
          out + " x " + in + " numbers of " + type + " in " + data.byteSize() + " bytes");
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
    // One row of the weight after the other, as they are in memory: several at once would come
    // slower.
    int width = x.machineCode() ? DenseCode.STEP : 2 * L;
    int whole = in - in % width;
    long sums = Tile.of(ROWS, L).row(0);
    int end = Math.min(out, toBlock * BLOCK);
    for (int o = fromBlock * BLOCK; o < end; o++) {
      long row = data.address() + (long) type.bytes() * in * o;
      for (int r = 0; r < x.rows(); ) {
        int n = r + ROWS <= x.rows() ? ROWS : 1;
        if (x.machineCode()) {
          DenseCode.products(type, row, whole, x.row(r), next, n, sums);
        } else {
          products(row, whole, x.row(r), next, n, sums);
        }
        for (int i = 0; i < n; i++, r++) {
          y[at + r * ldy + o] += MEMORY.get(FLOAT, sums + 4 * i) + tail(row, whole, x.row(r));
        }
      }
    }
    Reference.reachabilityFence(data);
    Reference.reachabilityFence(x);
  }

  /**
   * The products of one weight row with one activation row or {@value #ROWS}, of the first {@code
   * whole} inputs, in Java.
   */
  private void products(long row, int whole, long x, long next, int rows, long sums) {
    if (rows == 1) {
      MEMORY.set(FLOAT, sums, one(row, whole, x));
    } else {
      four(row, whole, x, next, sums);
    }
  }

  // Two sums for even and odd vectors, because an fma waits for the one before; the same two for
  // one row of activations and for four.

  private float one(long row, int whole, long x) {
    FloatVector even = FloatVector.zero(F);
    FloatVector odd = even;
    for (int i = 0; i < whole; i += 2 * L) {
      even =
          FloatVector.fromMemorySegment(F, MEMORY, x + 4L * i & TOP, ORDER).fma(load(row, i), even);
      odd =
          FloatVector.fromMemorySegment(F, MEMORY, x + 4L * (i + L) & TOP, ORDER)
              .fma(load(row, i + L), odd);
    }
    return Lanes.total(even.add(odd));
  }

  private void four(long row, int whole, long x0, long next, long sums) {
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
    for (int i = 0; i < whole; i += 2 * L) {
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
    float[] totals = Lanes.scratch();
    even0.add(odd0).intoArray(totals, 0);
    even1.add(odd1).intoArray(totals, L);
    even2.add(odd2).intoArray(totals, 2 * L);
    even3.add(odd3).intoArray(totals, 3 * L);
    for (int r = 0; r < ROWS; r++) {
      MEMORY.set(FLOAT, sums + 4 * r, Lanes.total(totals, r * L));
    }
  }

  /** A bfloat16 is the upper half of an fp32. */
  private FloatVector load(long row, int i) {
    if (type == Type.F32) {
      return FloatVector.fromMemorySegment(F, MEMORY, row + 4L * i & TOP, ORDER);
    }
    ShortVector bits = ShortVector.fromMemorySegment(HALF, MEMORY, row + 2L * i & TOP, ORDER);
    return ((IntVector) bits.convertShape(VectorOperators.ZERO_EXTEND_S2I, I, 0))
        .lanewise(VectorOperators.LSHL, 16)
        .reinterpretAsFloats();
  }

  /** The product of the inputs from {@code i} on, too few for the others. */
  private float tail(long row, int i, long x) {
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
