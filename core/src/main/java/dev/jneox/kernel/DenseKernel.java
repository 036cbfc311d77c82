package dev.jneox.kernel;

import static dev.jneox.kernel.Lanes.F;
import static dev.jneox.kernel.Lanes.HALF;
import static dev.jneox.kernel.Lanes.I;
import static dev.jneox.kernel.Memory.MEMORY;
import static dev.jneox.kernel.Memory.TOP;
import static dev.jneox.kernel.StoredNumbers.FLOAT;
import static dev.jneox.kernel.StoredNumbers.ORDER;

import dev.jneox.kernel.DenseWeight.Type;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorOperators;

/** Multiplies {@link DenseWeight} on the Vector API. */
final class DenseKernel {
  private static final int L = F.length();

  /** Inputs at a time, a vector of them for each of two sums. */
  private static final int STEP = 2 * L;

  /** Activation rows that share a load of the weight. */
  private static final int ROWS = 4;

  private DenseKernel() {}

  /** {@link PackedWeight#multiply}. */
  static void multiply(
      DenseWeight weight, InputRows x, float[] y, int at, int ldy, int fromBlock, int toBlock) {
    Type type = weight.type();
    int in = weight.in();
    int whole = in - in % STEP;
    long next = x.row(1) - x.row(0);
    long sums = Tile.of(ROWS, 1).row(0);
    // One row of the weight after the other, as they are in memory: several at once would come
    // slower.
    int end = Math.min(weight.out(), toBlock * PackedWeight.BLOCK);
    for (int o = fromBlock * PackedWeight.BLOCK; o < end; o++) {
      long row = weight.data().address() + (long) type.bytes() * in * o;
      for (int r = 0; r < x.rows(); ) {
        int n = r + ROWS <= x.rows() ? ROWS : 1;
        if (n == 1) {
          MEMORY.set(FLOAT, sums, one(type, row, whole, x.row(r)));
        } else {
          four(type, row, whole, x.row(r), next, sums);
        }
        for (int i = 0; i < n; i++, r++) {
          y[at + r * ldy + o] +=
              MEMORY.get(FLOAT, sums + 4 * i) + weight.tail(row, whole, x.row(r));
        }
      }
    }
  }

  // Two sums for even and odd vectors, because an fma waits for the one before; the same two for
  // one row of activations and for four.

  private static float one(Type type, long row, int whole, long x) {
    FloatVector even = FloatVector.zero(F);
    FloatVector odd = even;
    for (int i = 0; i < whole; i += 2 * L) {
      even =
          FloatVector.fromMemorySegment(F, MEMORY, x + 4L * i & TOP, ORDER)
              .fma(load(type, row, i), even);
      odd =
          FloatVector.fromMemorySegment(F, MEMORY, x + 4L * (i + L) & TOP, ORDER)
              .fma(load(type, row, i + L), odd);
    }
    return Lanes.total(even.add(odd));
  }

  private static void four(Type type, long row, int whole, long x0, long next, long sums) {
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
      FloatVector w = load(type, row, i);
      even0 = FloatVector.fromMemorySegment(F, MEMORY, x0 + 4L * i & TOP, ORDER).fma(w, even0);
      even1 = FloatVector.fromMemorySegment(F, MEMORY, x1 + 4L * i & TOP, ORDER).fma(w, even1);
      even2 = FloatVector.fromMemorySegment(F, MEMORY, x2 + 4L * i & TOP, ORDER).fma(w, even2);
      even3 = FloatVector.fromMemorySegment(F, MEMORY, x3 + 4L * i & TOP, ORDER).fma(w, even3);
      w = load(type, row, i + L);
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
  private static FloatVector load(Type type, long row, int i) {
    if (type == Type.F32) {
      return FloatVector.fromMemorySegment(F, MEMORY, row + 4L * i & TOP, ORDER);
    }
    ShortVector bits = ShortVector.fromMemorySegment(HALF, MEMORY, row + 2L * i & TOP, ORDER);
    return ((IntVector) bits.convertShape(VectorOperators.ZERO_EXTEND_S2I, I, 0))
        .lanewise(VectorOperators.LSHL, 16)
        .reinterpretAsFloats();
  }
}
