package dev.jneox.checkpoint;

import java.util.function.Consumer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;

/**
 * A large tensor taken some rows at a time, so that what is made of it (another type, another order
 * of its values) is never in memory whole: the embedding of GPT-NeoX-20B in fp32 is 1.2 GB.
 */
final class RowSlices {
  /** Elements of a slice; 64 MB in fp32. */
  private static final long ELEMENTS = 1 << 24;

  private RowSlices() {}

  /**
   * Hands out views of the tensor's rows (its first axis), in order and together all of them.
   *
   * @param each may make tensors: they go when it returns
   */
  static void forEach(Tensor tensor, Consumer<Tensor> each) {
    forEach(tensor, (row, count) -> each.accept(tensor.narrow(0, row, count)));
  }

  /** The same, by number: the first row of a slice and how many they are. */
  static void forEach(Tensor tensor, Range each) {
    long rows = tensor.size(0);
    long atOnce = Math.max(1, ELEMENTS / Math.max(1, tensor.numel() / Math.max(1, rows)));
    for (long row = 0; row < rows; row += atOnce) {
      try (PointerScope _ = new PointerScope()) {
        each.accept(row, Math.min(atOnce, rows - row));
      }
    }
  }

  /** Some rows that follow one another. */
  interface Range {
    void accept(long first, long count);
  }
}
