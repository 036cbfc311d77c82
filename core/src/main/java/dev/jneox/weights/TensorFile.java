package dev.jneox.weights;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.Optional;
import java.util.Set;

/**
 * A file of named tensors, mapped into memory and never read whole. The mapping lives until {@link
 * #close}: its bytes are not touched after that. It is read-only: copy a tensor before changing it.
 */
public interface TensorFile extends AutoCloseable {
  Path file();

  /** The names of its tensors, in the order of the file. */
  Set<String> names();

  /**
   * The element type of tensor {@code name}; an {@link dev.jneox.io.InputException} when the file
   * has none of that name.
   */
  Dtype dtype(String name);

  /** The length of each axis of tensor {@code name}; empty for a scalar. */
  long[] shape(String name);

  /** The bytes of a tensor that lies in the file row by row; empty for another. */
  Optional<MemorySegment> data(String name);

  /**
   * The bytes of a tensor row by row: those of the mapped file where it lies there so, else a copy
   * in {@code arena}.
   */
  MemorySegment read(String name, Arena arena);

  /**
   * Gives the memory of what was read back to the system; views stay valid and read it again. Who
   * goes through a large file calls it after each tensor.
   */
  default void release() {}

  @Override
  void close();
}
