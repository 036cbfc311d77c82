package dev.jneox.weights;

import dev.jneox.kernel.PackedWeight;
import dev.jneox.kernel.Workers;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * A matrix {@code [out, in]} that a model file keeps as integers with scales, where it lies in the
 * mapped file: valid as long as the model is open. For any number of threads.
 */
@SuppressWarnings("exports") // weight is for JNeoX's own modules, as kernels are
public sealed interface QuantisedMatrix permits GgmlRows, LaneMatrix, GatheredRows {
  /** The type whose numbers these are. */
  GgmlType type();

  /** Rows. */
  int out();

  /** Columns. */
  int in();

  /**
   * Bytes of a row as ggml's blocks; one that is no whole number of them is filled up with zeros.
   */
  default long rowBytes() {
    return type().rowBytes(in());
  }

  /** Writes a row as ggml's blocks to {@code into} from byte {@code at} on, bit for bit. */
  void blocks(int row, MemorySegment into, long at);

  /** Writes a row's values, as ggml computes them, to {@code into[at ...]}. */
  void dequantise(int row, float[] into, int at);

  /** Writes all values in fp32, row by row, to {@code into}; by all cores. */
  default void dequantise(MemorySegment into) {
    long width = (long) in() * Float.BYTES;
    Workers.all()
        .forEach(
            out(),
            (from, to, thread) -> {
              float[] values = new float[in()];
              for (int row = from; row < to; row++) {
                dequantise(row, values, 0);
                MemorySegment.copy(
                    values, 0, into, ValueLayout.JAVA_FLOAT, row * width, values.length);
              }
            });
  }

  /** Bytes of {@link #weight}. */
  default long kernelBytes() {
    return LaneLayout.bytes(LaneLayout.kernelType(type()), out(), in());
  }

  /** Whether {@link #weight} lies in the mapped file, and nothing has to be made. */
  default boolean inPlace() {
    return false;
  }

  /**
   * The matrix as a kernel reads it. Q4_0 and Q8_0 keep every bit: over the mapped file where it
   * lies so, else brought there by all cores. Every other type, for which there is no kernel,
   * becomes Q8_0, whose rounding is small beside what was lost before.
   *
   * @param arena where what has to be made is made; 64 rows a thread are needed beside it
   * @throws IllegalArgumentException for a number that is not finite; it names the row
   */
  default PackedWeight weight(Arena arena) {
    GgmlType kernel = LaneLayout.kernelType(type());
    MemorySegment packed = arena.allocate(kernelBytes(), 64);
    PackedWeight weight = LaneLayout.weight(kernel, out(), in(), packed);
    try (RowQuantiser rows = new RowQuantiser(this, kernel, Workers.all().count())) {
      LaneLayout.pack(kernel, out(), in(), 0, weight.blocks(), rows, packed);
    }
    // Nobody reads them again: a model that fits once need not fit twice.
    release();
    return weight;
  }

  /** Returns resident pages of the mapped file to the system; a later read loads them again. */
  default void release() {}
}
