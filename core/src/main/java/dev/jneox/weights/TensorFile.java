package dev.jneox.weights;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.Optional;
import java.util.Set;

/**
 * Represents a file of named tensors, mapped read-only and never read whole. Its bytes must not be
 * used after {@link #close}.
 */
public interface TensorFile extends AutoCloseable {
  /** Returns the path of the file. */
  Path file();

  /** Returns the names of its tensors in the order of the file. */
  Set<String> names();

  /**
   * Returns the element type of a tensor.
   *
   * @throws dev.jneox.io.InputException when the file has no tensor of that name
   */
  Dtype dtype(String name);

  /** Returns the length of each axis of a tensor; empty for a scalar. */
  long[] shape(String name);

  /** Returns the bytes of a tensor if it lies in the file row by row; else empty. */
  Optional<MemorySegment> data(String name);

  /**
   * Returns the bytes of a tensor row by row: in place if the file has them so, else copied into
   * {@code arena}.
   */
  MemorySegment read(String name, Arena arena);

  /**
   * Returns resident pages to the system; views stay valid and load them again. A reader of a large
   * file calls it after each tensor.
   */
  default void release() {}

  /**
   * Checks that the file was not changed since it was opened; {@link #data} and {@link #read} do so
   * too. Bytes in place that are used later need another check.
   *
   * @throws dev.jneox.io.StorageException when it was
   */
  default void check() {}

  @Override
  void close();
}
