package dev.jneox.train;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import dev.jneox.tensor.Tensors;
import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * A row-major matrix in native memory that libtorch multiplies and our loops read and write a row at a time, as fp32 whatever its
 * precision. The loops work on {@code float[]} rows, which stay in the first-level cache; only {@link #load} and {@link #store}
 * know about bf16 and fp16.
 */
final class Matrix {
  private static final VectorSpecies<Float> F = FloatVector.SPECIES_PREFERRED;
  private static final VectorSpecies<Short> HALF =
      VectorSpecies.of(short.class, VectorShape.forBitSize(F.vectorBitSize() / 2));
  private static final VectorSpecies<Integer> I = F.withLanes(int.class);
  private static final ByteOrder ORDER = ByteOrder.nativeOrder();

  final Tensor tensor;
  final Tensor transposed;
  final ScalarType dtype;
  final int rows;
  final int cols;
  private final MemorySegment data;

  /** A view of a contiguous {@code [rows, cols]} tensor, which the caller keeps alive. */
  Matrix(Tensor tensor) {
    this.tensor = tensor;
    this.transposed = tensor.t().retainReference();
    this.dtype = tensor.scalar_type().intern();
    this.rows = Math.toIntExact(tensor.size(0));
    this.cols = Math.toIntExact(tensor.size(1));
    this.data = Tensors.segment(tensor);
  }

  /** A fresh matrix of undefined values. */
  static Matrix of(ScalarType dtype, long rows, long cols) {
    return new Matrix(Tensors.empty(dtype, rows, cols).retainReference());
  }

  /** The first {@code count} rows from {@code row} on, in place. */
  Matrix slice(long row, long count) {
    return new Matrix(tensor.narrow(0, row, count).retainReference());
  }

  MemorySegment data() {
    return data;
  }

  /** Reads row {@code row} into {@code into[0..cols)}. */
  void load(int row, float[] into) {
    long base = (long) row * cols;
    switch (dtype) {
      case Float -> MemorySegment.copy(data, JAVA_FLOAT, base * 4, into, 0, cols);
      case BFloat16 -> loadBf16(base * 2, into);
      default -> {
        for (int i = 0; i < cols; i++) {
          into[i] = Float.float16ToFloat(data.getAtIndex(JAVA_SHORT, base + i));
        }
      }
    }
  }

  /** Writes {@code from[0..cols)} to row {@code row}, rounded to nearest even. */
  void store(int row, float[] from) {
    long base = (long) row * cols;
    switch (dtype) {
      case Float -> MemorySegment.copy(from, 0, data, JAVA_FLOAT, base * 4, cols);
      case BFloat16 -> storeBf16(base * 2, from);
      default -> {
        for (int i = 0; i < cols; i++) {
          data.setAtIndex(JAVA_SHORT, base + i, Float.floatToFloat16(from[i]));
        }
      }
    }
  }

  private void loadBf16(long at, float[] into) {
    int i = 0;
    for (int bound = F.loopBound(cols); i < bound; i += F.length()) {
      widen(data, at + 2L * i).intoArray(into, i);
    }
    for (; i < cols; i++) {
      into[i] = Float.intBitsToFloat(data.get(JAVA_SHORT, at + 2L * i) << 16);
    }
  }

  private void storeBf16(long at, float[] from) {
    int i = 0;
    for (int bound = F.loopBound(cols); i < bound; i += F.length()) {
      narrow(FloatVector.fromArray(F, from, i), data, at + 2L * i);
    }
    for (; i < cols; i++) {
      data.set(JAVA_SHORT, at + 2L * i, bf16(from[i]));
    }
  }

  /** Eight or sixteen bf16 values as fp32: they are the upper halves. */
  static FloatVector widen(MemorySegment data, long at) {
    return ((IntVector) ShortVector.fromMemorySegment(HALF, data, at, ORDER).convertShape(VectorOperators.ZERO_EXTEND_S2I, I, 0))
        .lanewise(VectorOperators.LSHL, 16)
        .reinterpretAsFloats();
  }

  /** Rounds to nearest even bf16 and writes. */
  static void narrow(FloatVector v, MemorySegment data, long at) {
    IntVector bits = v.reinterpretAsInts();
    IntVector odd = bits.lanewise(VectorOperators.LSHR, 16).lanewise(VectorOperators.AND, 1);
    IntVector rounded = bits.add(0x7FFF).add(odd).lanewise(VectorOperators.LSHR, 16);
    ((ShortVector) rounded.convertShape(VectorOperators.I2S, HALF, 0)).intoMemorySegment(data, at, ORDER);
  }

  static short bf16(float value) {
    int bits = Float.floatToRawIntBits(value);
    return (short) ((bits + 0x7FFF + ((bits >>> 16) & 1)) >>> 16);
  }
}
