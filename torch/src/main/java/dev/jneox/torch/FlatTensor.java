package dev.jneox.torch;

import java.lang.foreign.MemorySegment;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * Holds fp32 numbers in one range of a device's memory, as a model's parameters lie one behind the
 * other. Java reads and writes parts of it by copies.
 */
public final class FlatTensor implements AutoCloseable {
  private final Tensor tensor; // [length]

  FlatTensor(Tensor tensor) {
    this.tensor = tensor.retainReference();
  }

  /**
   * Zeros in memory of {@code device}.
   *
   * @throws dev.jneox.io.MemoryException when it has not so much
   */
  public static FlatTensor zeros(Device device, long length) {
    try (PointerScope _ = new PointerScope()) {
      return new FlatTensor(Tensors.zeros(ScalarType.Float, device, length));
    } catch (RuntimeException e) {
      throw Libtorch.explained(e);
    }
  }

  /** Views host memory, which must stay open as long as this. */
  public static FlatTensor over(MemorySegment memory) {
    return new FlatTensor(Tensors.view(memory, ScalarType.Float, memory.byteSize() / Float.BYTES));
  }

  /** Copies as many numbers as {@code into} has room for, from the {@code from}th on. */
  public void read(long from, MemorySegment into) {
    try (PointerScope _ = new PointerScope()) {
      host(into).copy_(slice(from, into.byteSize() / Float.BYTES));
    }
  }

  /** Copies all of {@code values} to the {@code to}th number and those that follow. */
  public void write(long to, MemorySegment values) {
    try (PointerScope _ = new PointerScope()) {
      slice(to, values.byteSize() / Float.BYTES).copy_(host(values));
    }
  }

  private static Tensor host(MemorySegment memory) {
    return Tensors.view(memory, ScalarType.Float, memory.byteSize() / Float.BYTES);
  }

  /** Copies {@code n} numbers of another range of the same device. */
  public void copy(long to, FlatTensor from, long at, long n) {
    try (PointerScope _ = new PointerScope()) {
      slice(to, n).copy_(from.slice(at, n));
    }
  }

  /** Sets every number to 0. */
  public void clear() {
    try (PointerScope _ = new PointerScope()) {
      tensor.zero_();
    }
  }

  /** Adds the first {@code n} numbers of {@code other} to those from the {@code to}th on. */
  public void add(long to, FlatTensor other, long n) {
    try (PointerScope _ = new PointerScope()) {
      slice(to, n).add_(other.slice(0, n));
    }
  }

  /** The L2 norm of all numbers, summed in fp64; infinite or NaN if any of them is. */
  public double norm() {
    return norm(0, tensor.numel());
  }

  /** The same of {@code n} numbers from the {@code from}th on. */
  public double norm(long from, long n) {
    try (PointerScope _ = new PointerScope()) {
      return slice(from, n)
          .norm(new ScalarOptional(new Scalar(2.0)), ScalarType.Double)
          .item_double();
    }
  }

  /** A view of {@code n} numbers from the {@code from}th on. */
  Tensor slice(long from, long n) {
    return tensor.narrow(0, from, n);
  }

  @Override
  public void close() {
    tensor.close();
  }
}
