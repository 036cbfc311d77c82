package dev.jneox.checkpoint;

import java.nio.file.Path;
import java.util.Set;
import org.bytedeco.pytorch.Tensor;

/**
 * A file of named tensors, mapped into memory and never read whole. The mapping lives until {@link
 * #close}: a view of a closed file ends the process, so let go of every tensor first. It is
 * read-only: copy a tensor before changing it in place.
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

  /**
   * The tensor as libtorch sees it: a view of the mapped file wherever that is possible. The caller
   * owns it.
   */
  Tensor tensor(String name);

  /**
   * Gives the memory of what was read back to the system; views stay valid and read it again. Who
   * goes through a large file calls it after each tensor.
   */
  default void release() {}

  @Override
  void close();
}
