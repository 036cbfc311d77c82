package dev.jneox.torch;

import static org.bytedeco.pytorch.global.torch.ScalarType;

import dev.jneox.weights.Dtype;
import dev.jneox.weights.MappedTensor;
import dev.jneox.weights.TensorFile;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.function.Supplier;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.DeviceOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;

/** Goes between Java memory and libtorch tensors, which are dense; fresh ones are on the CPU. */
@SuppressWarnings("restricted") // calls native code, which the launcher allows
public final class Tensors {
  private Tensors() {}

  /** A pointer to {@code segment}'s first byte; the caller keeps the segment's arena open. */
  private static final class Address extends Pointer {
    Address(MemorySegment segment) {
      address = segment.address();
    }
  }

  /**
   * A tensor over native memory, without a copy: it must not outlive the arena of {@code segment},
   * and writing to it writes there.
   */
  public static Tensor view(MemorySegment segment, ScalarType dtype, long... shape) {
    Libtorch.start();
    try (Address address = new Address(segment);
        TensorOptions options = new TensorOptions(dtype)) {
      return torch.from_blob(address, shape, options);
    }
  }

  /** The memory of a contiguous tensor on the CPU; valid while the tensor lives. */
  public static MemorySegment segment(Tensor tensor) {
    if (!tensor.is_contiguous() || !tensor.is_cpu()) {
      throw new IllegalArgumentException("not contiguous, or not on the CPU");
    }
    try (Pointer data = tensor.data_ptr()) {
      return MemorySegment.ofAddress(data.address())
          .reinterpret(tensor.numel() * tensor.element_size());
    }
  }

  /** Makes a tensor on the CPU whose values are whatever the memory held. */
  public static Tensor empty(ScalarType dtype, long... shape) {
    Libtorch.start();
    try (TensorOptions options = new TensorOptions(dtype)) {
      return torch.empty(shape, options, null);
    }
  }

  /** Makes a tensor of zeros on the CPU. */
  public static Tensor zeros(ScalarType dtype, long... shape) {
    return zeros(dtype, Device.CPU, shape);
  }

  static Tensor zeros(ScalarType dtype, Device device, long... shape) {
    Libtorch.start();
    try (org.bytedeco.pytorch.Device place = device.libtorch();
        DeviceOptional on = new DeviceOptional(place);
        TensorOptions type = new TensorOptions(dtype);
        TensorOptions options = type.device(on)) {
      return torch.zeros(shape, options);
    }
  }

  /** The same values where {@code other} is: {@code tensor} itself if it is there already. */
  static Tensor like(Tensor tensor, Tensor other) {
    try (org.bytedeco.pytorch.Device place = other.device()) {
      return tensor.to(place, tensor.scalar_type());
    }
  }

  /** The same values as {@code dtype} on {@code device}; itself if they are so already. */
  static Tensor to(Tensor tensor, Device device, ScalarType dtype) {
    try (org.bytedeco.pytorch.Device place = device.libtorch()) {
      return tensor.to(place, dtype);
    }
  }

  /** Makes an fp32 tensor on the CPU of values in row-major order. */
  public static Tensor of(float[] values, long... shape) {
    Tensor t = empty(ScalarType.Float, shape);
    MemorySegment.copy(values, 0, segment(t), ValueLayout.JAVA_FLOAT, 0, values.length);
    return t;
  }

  /** Makes an int64 tensor on the CPU of values in row-major order. */
  public static Tensor of(int[] values, long... shape) {
    Tensor t = empty(ScalarType.Long, shape);
    MemorySegment s = segment(t);
    for (int i = 0; i < values.length; i++) {
      s.setAtIndex(ValueLayout.JAVA_LONG, i, values[i]);
    }
    return t;
  }

  /** The values of a tensor of any float type on any device, row by row. */
  public static float[] floats(Tensor tensor) {
    try (Tensor f = to(tensor, Device.CPU, ScalarType.Float);
        Tensor c = f.contiguous()) {
      return segment(c).toArray(ValueLayout.JAVA_FLOAT);
    }
  }

  /** The values of an integer tensor on any device, row by row. */
  public static long[] longs(Tensor tensor) {
    try (Tensor l = to(tensor, Device.CPU, ScalarType.Long);
        Tensor c = l.contiguous()) {
      return segment(c).toArray(ValueLayout.JAVA_LONG);
    }
  }

  /** Returns the sizes of a tensor's axes. */
  public static long[] shape(Tensor tensor) {
    long[] shape = new long[(int) tensor.dim()];
    for (int i = 0; i < shape.length; i++) {
      shape[i] = tensor.size(i);
    }
    return shape;
  }

  /**
   * Runs {@code body} and closes every tensor it made but the one it returns, which then belongs to
   * the caller's scope, if any. What autograd saved stays alive: closing only drops our reference.
   */
  public static Tensor scoped(Supplier<Tensor> body) {
    PointerScope outer = PointerScope.getInnerScope();
    Tensor result;
    try (PointerScope _ = new PointerScope()) {
      result = body.get().retainReference();
    }
    if (outer != null) {
      outer.attach(result);
      result.releaseReference();
    }
    return result;
  }

  /** libtorch's type for a type of a file. */
  public static ScalarType type(Dtype dtype) {
    return switch (dtype) {
      case F32 -> ScalarType.Float;
      case F64 -> ScalarType.Double;
      case F16 -> ScalarType.Half;
      case BF16 -> ScalarType.BFloat16;
      case I64 -> ScalarType.Long;
      case I32 -> ScalarType.Int;
      case U8 -> ScalarType.Byte;
      default -> throw new IllegalArgumentException(dtype.name());
    };
  }

  /** A weight's type for libtorch's. */
  static Dtype dtype(ScalarType type) {
    return switch (type) {
      case Double -> Dtype.F64;
      case Float -> Dtype.F32;
      case Half -> Dtype.F16;
      case BFloat16 -> Dtype.BF16;
      default -> throw new IllegalArgumentException(type.name());
    };
  }

  /** The values of a contiguous tensor on the CPU. */
  public static MappedTensor mapped(Tensor tensor) {
    return new MappedTensor(dtype(tensor.scalar_type().intern()), segment(tensor));
  }

  /** A copy of a tensor of a file; the caller owns it. */
  public static Tensor read(TensorFile file, String name) {
    Tensor copy = empty(type(file.dtype(name)), file.shape(name));
    try (Arena arena = Arena.ofConfined()) {
      segment(copy).copyFrom(file.read(name, arena));
    }
    return copy;
  }
}
