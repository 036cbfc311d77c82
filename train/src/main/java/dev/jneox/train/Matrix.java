package dev.jneox.train;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import dev.jneox.torch.Tensors;
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
 * A row-major matrix in native memory that libtorch multiplies and our loops read and write a row
 * at a time, as fp32 whatever its precision. The loops work on {@code float[]} rows, which stay in
 * the first-level cache; only {@link #load} and {@link #store} know about bf16 and fp16, and about
 * fp32 carrying them (see {@link dev.jneox.torch.Products}). Then a store rounds, so that what is
 * multiplied are numbers of the precision, and so does a load, because what libtorch wrote is a
 * product not yet rounded: no pass over memory is spent on it.
 */
final class Matrix {
  private static final VectorSpecies<Float> F = FloatVector.SPECIES_PREFERRED;
  private static final VectorSpecies<Short> HALF =
      VectorSpecies.of(short.class, VectorShape.forBitSize(F.vectorBitSize() / 2));
  private static final VectorSpecies<Integer> I = F.withLanes(int.class);
  private static final ByteOrder ORDER = ByteOrder.nativeOrder();

  final Tensor tensor;
  final Tensor transposed;
  final ScalarType dtype; // the precision
  final int rows;
  final int cols;
  private final boolean carried; // by fp32
  private final MemorySegment data;

  /** A view of a contiguous {@code [rows, cols]} tensor, which the caller keeps alive. */
  Matrix(Tensor tensor) {
    this(tensor, tensor.scalar_type().intern());
  }

  /** The same, of numbers of {@code dtype}: the tensor's type, or one that its fp32 carries. */
  Matrix(Tensor tensor, ScalarType dtype) {
    this.tensor = tensor;
    this.transposed = tensor.t().retainReference();
    this.dtype = dtype;
    this.carried = tensor.scalar_type().intern() != dtype;
    this.rows = Math.toIntExact(tensor.size(0));
    this.cols = Math.toIntExact(tensor.size(1));
    this.data = Tensors.segment(tensor);
  }

  /** A fresh matrix of undefined values. */
  static Matrix of(ScalarType dtype, long rows, long cols) {
    return of(dtype, dtype, rows, cols);
  }

  /** The same, of numbers of {@code dtype} in memory of type {@code carrier}. */
  static Matrix of(ScalarType dtype, ScalarType carrier, long rows, long cols) {
    return new Matrix(Tensors.empty(carrier, rows, cols).retainReference(), dtype);
  }

  /** The first {@code count} rows from {@code row} on, in place. */
  Matrix slice(long row, long count) {
    return new Matrix(tensor.narrow(0, row, count).retainReference(), dtype);
  }

  MemorySegment data() {
    return data;
  }

  /** Reads row {@code row} into {@code into[0..cols)}. */
  void load(int row, float[] into) {
    load(row, 0, into, 0, cols);
  }

  /**
   * Reads {@code n} values of row {@code row} from column {@code column} on into {@code
   * into[at..)}.
   */
  void load(int row, int column, float[] into, int at, int n) {
    long base = (long) row * cols + column;
    if (carried) {
      loadCarried(base * 4, into, at, n);
      return;
    }
    switch (dtype) {
      case Float -> MemorySegment.copy(data, JAVA_FLOAT, base * 4, into, at, n);
      case BFloat16 -> loadBf16(base * 2, into, at, n);
      default -> {
        for (int i = 0; i < n; i++) {
          into[at + i] = Float.float16ToFloat(data.getAtIndex(JAVA_SHORT, base + i));
        }
      }
    }
  }

  /** Writes {@code from[0..cols)} to row {@code row}, rounded to nearest even. */
  void store(int row, float[] from) {
    store(row, 0, from, 0, cols);
  }

  /**
   * Writes {@code n} values from {@code from[at..)} to row {@code row}, from column {@code column}
   * on.
   */
  void store(int row, int column, float[] from, int at, int n) {
    long base = (long) row * cols + column;
    if (carried) {
      storeCarried(base * 4, from, at, n);
      return;
    }
    switch (dtype) {
      case Float -> MemorySegment.copy(from, at, data, JAVA_FLOAT, base * 4, n);
      case BFloat16 -> storeBf16(base * 2, from, at, n);
      default -> {
        for (int i = 0; i < n; i++) {
          data.setAtIndex(JAVA_SHORT, base + i, Float.floatToFloat16(from[at + i]));
        }
      }
    }
  }

  private void loadCarried(long source, float[] into, int at, int n) {
    MemorySegment.copy(data, JAVA_FLOAT, source, into, at, n);
    int i = 0;
    if (dtype == ScalarType.BFloat16) {
      for (int bound = F.loopBound(n); i < bound; i += F.length()) {
        bf16(FloatVector.fromArray(F, into, at + i)).intoArray(into, at + i);
      }
    }
    for (; i < n; i++) {
      into[at + i] = rounded(into[at + i]);
    }
  }

  private void storeCarried(long target, float[] from, int at, int n) {
    int i = 0;
    if (dtype == ScalarType.BFloat16) {
      for (int bound = F.loopBound(n); i < bound; i += F.length()) {
        bf16(FloatVector.fromArray(F, from, at + i))
            .intoMemorySegment(data, target + 4L * i, ORDER);
      }
    }
    for (; i < n; i++) {
      data.set(JAVA_FLOAT, target + 4L * i, rounded(from[at + i]));
    }
  }

  private float rounded(float value) {
    return dtype == ScalarType.BFloat16
        ? Float.intBitsToFloat(bf16(value) << 16)
        : Float.float16ToFloat(Float.floatToFloat16(value));
  }

  private void loadBf16(long source, float[] into, int at, int n) {
    int i = 0;
    for (int bound = F.loopBound(n); i < bound; i += F.length()) {
      widen(data, source + 2L * i).intoArray(into, at + i);
    }
    for (; i < n; i++) {
      into[at + i] = Float.intBitsToFloat(data.get(JAVA_SHORT, source + 2L * i) << 16);
    }
  }

  private void storeBf16(long target, float[] from, int at, int n) {
    int i = 0;
    for (int bound = F.loopBound(n); i < bound; i += F.length()) {
      narrow(FloatVector.fromArray(F, from, at + i), data, target + 2L * i);
    }
    for (; i < n; i++) {
      data.set(JAVA_SHORT, target + 2L * i, bf16(from[at + i]));
    }
  }

  /** Eight or sixteen bf16 values as fp32: they are the upper halves. */
  static FloatVector widen(MemorySegment data, long at) {
    return ((IntVector)
            ShortVector.fromMemorySegment(HALF, data, at, ORDER)
                .convertShape(VectorOperators.ZERO_EXTEND_S2I, I, 0))
        .lanewise(VectorOperators.LSHL, 16)
        .reinterpretAsFloats();
  }

  /** Rounds to nearest even bf16 and writes. */
  static void narrow(FloatVector v, MemorySegment data, long at) {
    ((ShortVector) upperHalves(v).convertShape(VectorOperators.I2S, HALF, 0))
        .intoMemorySegment(data, at, ORDER);
  }

  /** Rounds to nearest even bf16 and stays fp32. */
  static FloatVector bf16(FloatVector v) {
    return upperHalves(v).lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
  }

  private static IntVector upperHalves(FloatVector v) {
    IntVector bits = v.reinterpretAsInts();
    IntVector odd = bits.lanewise(VectorOperators.LSHR, 16).lanewise(VectorOperators.AND, 1);
    return bits.add(0x7FFF).add(odd).lanewise(VectorOperators.LSHR, 16);
  }

  static short bf16(float value) {
    int bits = Float.floatToRawIntBits(value);
    return (short) ((bits + 0x7FFF + ((bits >>> 16) & 1)) >>> 16);
  }
}
