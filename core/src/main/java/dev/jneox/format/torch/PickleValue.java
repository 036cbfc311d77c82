package dev.jneox.format.torch;

import static dev.jneox.io.JsonObject.quoted;

import dev.jneox.weights.Dtype;
import dev.jneox.weights.StoredTensor;
import java.math.BigInteger;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Represents the values of a {@link PickleReader} that have no Java type. */
sealed interface PickleValue {
  /** Is a Python tuple; its items may be null. */
  record Tuple(List<Object> items) implements PickleValue {
    /** Omits the items, because a tuple may contain itself. */
    @Override
    public String toString() {
      return "a tuple of " + items.size();
    }
  }

  /** Refers to the bytes of tensors, as {@code torch.save} does. */
  record Storage(String key, Dtype dtype, long offset, long elements) implements PickleValue {}

  /**
   * Describes a tensor over a storage as the file claims, unchecked. Offset and strides count
   * elements.
   */
  record StoredTensor(Storage storage, long offset, long[] shape, long[] strides)
      implements PickleValue {}

  /**
   * Represents a value that was not interpreted: a class or function of that name, or its result.
   */
  record Opaque(String name) implements PickleValue {}

  /** Lists the functions of PyTorch and Python that are interpreted; none of them is code here. */
  enum Function implements PickleValue {
    ORDERED_DICT,
    SIZE,
    REBUILD_TENSOR,
    REBUILD_PARAMETER
  }

  /** Is a typed storage class of PyTorch, such as {@code torch.HalfStorage}. */
  record StorageType(Dtype dtype) implements PickleValue {}

  /** The functions by full name. */
  Map<String, Function> FUNCTIONS =
      Map.of(
          "collections.OrderedDict", Function.ORDERED_DICT,
          "torch.Size", Function.SIZE,
          "torch._utils._rebuild_tensor", Function.REBUILD_TENSOR,
          "torch._utils._rebuild_tensor_v2", Function.REBUILD_TENSOR,
          "torch._utils._rebuild_parameter", Function.REBUILD_PARAMETER,
          "torch._utils._rebuild_parameter_with_state", Function.REBUILD_PARAMETER);

  /** The element types by the name of PyTorch's class. */
  Map<String, Dtype> STORAGES =
      Map.ofEntries(
          Map.entry("DoubleStorage", Dtype.F64),
          Map.entry("FloatStorage", Dtype.F32),
          Map.entry("HalfStorage", Dtype.F16),
          Map.entry("BFloat16Storage", Dtype.BF16),
          Map.entry("LongStorage", Dtype.I64),
          Map.entry("IntStorage", Dtype.I32),
          Map.entry("ShortStorage", Dtype.I16),
          Map.entry("CharStorage", Dtype.I8),
          Map.entry("ByteStorage", Dtype.U8),
          Map.entry("BoolStorage", Dtype.BOOL),
          Map.entry("ComplexFloatStorage", Dtype.C64));

  /** Resolves a global; null when it is not part of PyTorch's data. */
  static @Nullable PickleValue global(String module, String name) {
    Function function = FUNCTIONS.get(module + "." + name);
    if (function != null) {
      return function;
    }
    // Files of tensors on a GPU have torch.cuda.FloatStorage in old versions.
    Dtype dtype = module.equals("torch") || module.equals("torch.cuda") ? STORAGES.get(name) : null;
    return dtype == null ? null : new StorageType(dtype);
  }

  /** Describes the kind of a value without its content. */
  static String kind(@Nullable Object value) {
    return switch (value) {
      case null -> "None";
      case String text -> "the text " + quoted(text);
      case Boolean truth -> truth ? "True" : "False";
      case BigInteger number -> "an integer of " + number.bitLength() + " bits";
      case Number number -> "the number " + number;
      case byte[] bytes -> bytes.length + " bytes";
      case Tuple tuple -> tuple.toString();
      case Map<?, ?> map -> "a dictionary of " + map.size();
      case List<?> list -> "a list of " + list.size();
      case StorageType type -> "a storage type";
      case Storage storage -> "a storage";
      case StoredTensor tensor -> "a tensor";
      case Function function -> "the function " + function;
      case Opaque inert -> "the global " + quoted(inert.name());
      default -> throw new IllegalStateException(value.getClass().getName());
    };
  }
}
