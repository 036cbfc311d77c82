package dev.jneox.torch;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import dev.jneox.weights.Dtype;
import dev.jneox.weights.MappedTensor;
import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;
import org.bytedeco.pytorch.Tensor;

/**
 * A row-major matrix in native memory that libtorch multiplies and our loops read and write a row
 * at a time, as fp32 whatever its precision. The loops work on {@code float[]} rows, which stay in
 * the first-level cache; only {@link #load} and {@link #store} know about bf16 and fp16, and about
 * fp32 carrying them (see {@link Products}). Then a store rounds, so that what is multiplied are
 * numbers of the precision, and so does a load, because what libtorch wrote is a product not yet
 * rounded: no pass over memory is spent on it.
 */
@SuppressWarnings("exports") // of the Vector API, which is for train alone
public final class Matrix {
  private static final VectorSpecies<Float> F = FloatVector.SPECIES_PREFERRED;
  private static final VectorSpecies<Short> HALF =
      VectorSpecies.of(short.class, VectorShape.forBitSize(F.vectorBitSize() / 2));
  private static final VectorSpecies<Integer> I = F.withLanes(int.class);
  private static final int NAN = 0x7FC0; // of bf16, as libtorch has it
  private static final ByteOrder ORDER = ByteOrder.nativeOrder();

  final Tensor tensor;
  final Tensor transposed;

  /** Rows. */
  public final int rows;

  /** Values in a row. */
  public final int cols;

  private final Dtype dtype; // the precision
  private final boolean carried; // by fp32
  private final MemorySegment data;

  /**
   * Views a contiguous {@code [rows, cols]} tensor on the CPU.
   *
   * @param dtype the tensor's type, or one whose numbers its fp32 carries
   */
  private Matrix(Tensor tensor, Dtype dtype) {
    this.tensor = tensor.retainReference();
    this.transposed = tensor.t().retainReference();
    this.dtype = dtype;
    this.carried = tensor.scalar_type().intern() != Tensors.type(dtype);
    this.rows = Math.toIntExact(tensor.size(0));
    this.cols = Math.toIntExact(tensor.size(1));
    this.data = Tensors.segment(tensor);
  }

  /** Makes a matrix of undefined values, whose memory is freed with the last reference to it. */
  public static Matrix of(Dtype dtype, long rows, long cols) {
    return of(dtype, dtype, rows, cols);
  }

  /** The same, of numbers of {@code dtype} in memory of type {@code carrier}. */
  public static Matrix of(Dtype dtype, Dtype carrier, long rows, long cols) {
    return new Matrix(Tensors.empty(Tensors.type(carrier), rows, cols), dtype);
  }

  /** Views memory that holds numbers of {@code dtype} as {@code carrier}, and must stay open. */
  public static Matrix over(
      MemorySegment memory, Dtype dtype, Dtype carrier, long rows, long cols) {
    return new Matrix(Tensors.view(memory, Tensors.type(carrier), rows, cols), dtype);
  }

  /** The first {@code count} rows from {@code row} on, in place. */
  public Matrix slice(long row, long count) {
    return new Matrix(tensor.narrow(0, row, count), dtype);
  }

  /** Sets every number to 0. */
  public void clear() {
    tensor.zero_();
  }

  /** Takes the numbers of {@code other}, of the same shape, as they are in memory. */
  public void copy(Matrix other) {
    tensor.copy_(other.tensor);
  }

  /** Adds {@code other} as it is in memory: what fp32 carries is not rounded. */
  public void add(Matrix other) {
    tensor.add_(other.tensor);
  }

  /** The rows one behind the other. */
  public MemorySegment data() {
    return data;
  }

  /** Reads row {@code row} into {@code into[0..cols)}. */
  public void load(int row, float[] into) {
    load(row, 0, into, 0, cols);
  }

  /**
   * Reads {@code n} values of row {@code row} from column {@code column} on into {@code
   * into[at..)}.
   */
  public void load(int row, int column, float[] into, int at, int n) {
    long base = (long) row * cols + column;
    if (carried) {
      loadCarried(base * 4, into, at, n);
      return;
    }
    switch (dtype) {
      case F32 -> MemorySegment.copy(data, JAVA_FLOAT, base * 4, into, at, n);
      case BF16 -> loadBf16(base * 2, into, at, n);
      default -> {
        for (int i = 0; i < n; i++) {
          into[at + i] = Float.float16ToFloat(data.getAtIndex(JAVA_SHORT, base + i));
        }
      }
    }
  }

  /** Writes {@code from[0..cols)} to row {@code row}, rounded to nearest even. */
  public void store(int row, float[] from) {
    store(row, 0, from, 0, cols);
  }

  /**
   * Writes {@code n} values from {@code from[at..)} to row {@code row}, from column {@code column}
   * on.
   */
  public void store(int row, int column, float[] from, int at, int n) {
    long base = (long) row * cols + column;
    if (carried) {
      storeCarried(base * 4, from, at, n);
      return;
    }
    switch (dtype) {
      case F32 -> MemorySegment.copy(from, at, data, JAVA_FLOAT, base * 4, n);
      case BF16 -> storeBf16(base * 2, from, at, n);
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
    if (dtype == Dtype.BF16) {
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
    if (dtype == Dtype.BF16) {
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
    return dtype == Dtype.BF16
        ? Float.intBitsToFloat(MappedTensor.bfloat16(value) << 16)
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
      data.set(JAVA_SHORT, target + 2L * i, MappedTensor.bfloat16(from[at + i]));
    }
  }

  /** Eight or sixteen bf16 values as fp32: they are the upper halves. */
  public static FloatVector widen(MemorySegment data, long at) {
    return ((IntVector)
            ShortVector.fromMemorySegment(HALF, data, at, ORDER)
                .convertShape(VectorOperators.ZERO_EXTEND_S2I, I, 0))
        .lanewise(VectorOperators.LSHL, 16)
        .reinterpretAsFloats();
  }

  /** Rounds to nearest even bf16, NaN to NaN, and writes. */
  public static void narrow(FloatVector v, MemorySegment data, long at) {
    ((ShortVector) upperHalves(v).convertShape(VectorOperators.I2S, HALF, 0))
        .intoMemorySegment(data, at, ORDER);
  }

  /** Rounds to nearest even bf16, NaN to NaN, and stays fp32. */
  public static FloatVector bf16(FloatVector v) {
    return upperHalves(v).lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
  }

  private static IntVector upperHalves(FloatVector v) {
    IntVector bits = v.reinterpretAsInts();
    IntVector odd = bits.lanewise(VectorOperators.LSHR, 16).lanewise(VectorOperators.AND, 1);
    // Adding to a NaN could carry into the sign, and make a zero of it.
    return bits.add(0x7FFF)
        .add(odd)
        .lanewise(VectorOperators.LSHR, 16)
        .blend(NAN, v.test(VectorOperators.IS_NAN).cast(I));
  }
}
