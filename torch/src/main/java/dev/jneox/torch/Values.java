package dev.jneox.torch;

import java.lang.foreign.MemorySegment;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * Views contiguous numbers of one type in a device's memory, which {@link Collectives} reads or
 * writes. The memory must stay open, and unchanged by others, until the operation is awaited.
 */
public final class Values implements AutoCloseable {
  final Tensor tensor; // [length]

  Values(Tensor contiguous) {
    this.tensor = contiguous.view(-1).retainReference();
  }

  /** Views all numbers of a matrix, as they are in memory. */
  public static Values of(Matrix matrix) {
    return new Values(matrix.tensor);
  }

  /** Views {@code n} numbers from the {@code from}th on. */
  public static Values of(FlatTensor flat, long from, long n) {
    return new Values(flat.slice(from, n));
  }

  /** Views host memory as fp64 numbers. */
  public static Values doubles(MemorySegment memory) {
    try (Tensor tensor =
        Tensors.view(memory, ScalarType.Double, memory.byteSize() / Double.BYTES)) {
      return new Values(tensor);
    }
  }

  /** Returns how many numbers there are. */
  public long length() {
    return tensor.numel();
  }

  /** Returns how many bytes they take. */
  public long bytes() {
    return tensor.numel() * tensor.element_size();
  }

  @Override
  public void close() {
    tensor.close();
  }
}
