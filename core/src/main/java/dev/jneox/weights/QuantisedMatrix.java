package dev.jneox.weights;

import dev.jneox.kernel.PackedWeight;
import dev.jneox.kernel.Workers;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Represents a matrix {@code [out, in]} that a model file stores as integers with scales. It lies
 * in the mapped file and is valid while the model is open. Thread-safe.
 */
@SuppressWarnings("exports") // weight is for JNeoX's own modules, as kernels are
public sealed interface QuantisedMatrix permits GgmlRows, LaneMatrix, GatheredRows {
  /** Returns the type of the blocks. */
  GgmlType type();

  /** Returns the number of rows. */
  int out();

  /** Returns the number of columns. */
  int in();

  /** Returns the bytes of a row as ggml's blocks; the last block is padded with zeros. */
  default long rowBytes() {
    return type().rowBytes(in());
  }

  /** Writes a row as ggml's blocks to {@code into} from byte {@code at} on, bit for bit. */
  void blocks(int row, MemorySegment into, long at);

  /** Dequantises a row, as ggml computes it, to {@code into[at ...]}. */
  void dequantise(int row, float[] into, int at);

  /** Dequantises all rows to fp32 in {@code into}, on all cores. */
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

  /** Returns the bytes of {@link #weight}. */
  default long kernelBytes() {
    return LaneLayout.bytes(LaneLayout.kernelType(type()), out(), in());
  }

  /** Returns whether {@link #weight} lies in the mapped file and needs no copy. */
  default boolean inPlace() {
    return false;
  }

  /**
   * Returns the matrix as a kernel reads it. Q4_0 and Q8_0 keep every bit: in place if the file has
   * that order, else reordered on all cores. Any other type has no kernel and becomes Q8_0, whose
   * rounding is small beside the loss already in the file.
   *
   * @param arena allocates a reordered weight; each thread needs 64 rows more
   * @throws IllegalArgumentException for a value that is not finite; the message has the row
   */
  default PackedWeight weight(Arena arena) {
    GgmlType kernel = LaneLayout.kernelType(type());
    MemorySegment packed = arena.allocate(kernelBytes(), 64);
    PackedWeight weight = LaneLayout.weight(kernel, out(), in(), packed);
    try (RowQuantiser rows = new RowQuantiser(this, kernel, Workers.all().count())) {
      LaneLayout.pack(kernel, out(), in(), 0, weight.blocks(), rows, packed);
    }
    // The packed copy replaces these pages: a model must fit in memory once, not twice.
    release();
    return weight;
  }

  /** Returns resident pages of the mapped file to the system; a later read loads them again. */
  default void release() {}
}
