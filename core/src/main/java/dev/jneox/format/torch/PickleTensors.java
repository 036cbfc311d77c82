package dev.jneox.format.torch;

import static dev.jneox.format.torch.PickleValue.kind;
import static dev.jneox.io.JsonObject.quoted;

import dev.jneox.format.torch.PickleValue.Function;
import dev.jneox.format.torch.PickleValue.Opaque;
import dev.jneox.format.torch.PickleValue.Storage;
import dev.jneox.format.torch.PickleValue.StorageType;
import dev.jneox.format.torch.PickleValue.StoredTensor;
import dev.jneox.format.torch.PickleValue.Tuple;
import dev.jneox.io.JsonObject;
import dev.jneox.weights.Dtype;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Interprets the globals, calls and persistent ids of a pickle: {@code torch.save}'s tensors and
 * ordered dictionaries, nothing else.
 */
final class PickleTensors {
  private static final int MAX_AXES = 64; // libtorch's own bound

  private final PickleInput in;
  private final boolean lenient;
  private final Map<String, Storage> storages = new HashMap<>();
  private int pairs;

  PickleTensors(PickleInput in, boolean lenient) {
    this.in = in;
    this.lenient = lenient;
  }

  /** Returns the referenced storages by key. */
  Map<String, Storage> storages() {
    return storages;
  }

  /** Resolves the global of a name. */
  Object global(String module, String name, String near) {
    PickleValue known = PickleValue.global(module, name);
    if (known != null) {
      return known;
    }
    String full = module + "." + name;
    if (!lenient) {
      throw in.wrong(
          "tensors and plain values only",
          "the global " + quoted(full) + near + ", which is not loaded");
    }
    return new Opaque(JsonObject.shortened(full));
  }

  /** Applies a function to a tuple of arguments; {@code near} is added to messages. */
  Object call(List<Object> parts, String near) {
    if (parts.getFirst() instanceof Opaque inert) {
      return inert;
    }
    if (!(parts.getFirst() instanceof Function function)
        || !(parts.get(1) instanceof Tuple arguments)
        || parts.size() > 2) {
      throw in.wrong(
          "a tensor or an OrderedDict to be made of a tuple",
          kind(parts.getFirst()) + " of " + kind(parts.get(1)));
    }
    return made(function, arguments.items(), near);
  }

  private Object made(Function function, List<Object> arguments, String near) {
    Object first = arguments.isEmpty() ? null : arguments.getFirst();
    if (first instanceof Opaque inert) {
      return inert;
    }
    return switch (function) {
      case ORDERED_DICT -> ordered(first);
      case REBUILD_TENSOR -> tensor(arguments, near);
      case SIZE -> {
        if (first instanceof Tuple size) {
          yield size;
        }
        throw in.wrong("a tuple as a torch.Size", kind(first));
      }
      case REBUILD_PARAMETER -> {
        if (first instanceof StoredTensor) {
          yield first;
        }
        throw in.wrong("a tensor as a parameter" + near, kind(first));
      }
    };
  }

  /** Builds an OrderedDict. Python 2 passes its items as pairs, Python 3 sets them afterwards. */
  private Object ordered(@Nullable Object given) {
    Map<Object, Object> map = new LinkedHashMap<>();
    if (given != null && !(given instanceof List<?>)) {
      throw in.wrong("pairs to make an OrderedDict of", kind(given));
    }
    for (Object pair : given instanceof List<?> list ? list : List.of()) {
      List<?> items =
          pair instanceof Tuple tuple
              ? tuple.items()
              : pair instanceof List<?> list ? list : List.of();
      if (items.size() != 2) {
        throw in.wrong("pairs to make an OrderedDict of", kind(pair));
      }
      if (++pairs > PickleReader.MAX_VALUES) {
        throw in.wrong("at most " + PickleReader.MAX_VALUES + " pairs in a pickle", "more");
      }
      put(map, new ArrayList<>(items));
    }
    return map;
  }

  private StoredTensor tensor(List<Object> arguments, String near) {
    boolean good =
        arguments.size() >= 4
            && arguments.get(0) instanceof Storage
            && arguments.get(1) instanceof Long
            && arguments.get(2) instanceof Tuple
            && arguments.get(3) instanceof Tuple;
    if (!good) {
      List<String> kinds = arguments.stream().limit(4).map(PickleValue::kind).toList();
      throw in.wrong("a storage, an offset, a shape and strides" + near, String.join(", ", kinds));
    }
    return new StoredTensor(
        (Storage) arguments.get(0),
        (Long) arguments.get(1),
        numbers(arguments.get(2), near),
        numbers(arguments.get(3), near));
  }

  private long[] numbers(Object tuple, String near) {
    List<Object> items = ((Tuple) tuple).items();
    if (items.size() > MAX_AXES) {
      throw in.wrong(
          "a tensor of at most " + MAX_AXES + " axes" + near, String.valueOf(items.size()));
    }
    for (Object item : items) {
      if (!(item instanceof Long)) {
        throw in.wrong("whole numbers in shape and strides" + near, kind(item));
      }
    }
    return items.stream().mapToLong(item -> (Long) item).toArray();
  }

  /**
   * Reads {@code ("storage", type, key, device, elements)}; in old files a view {@code (its key,
   * offset, elements)} or None follows.
   */
  Object storage(Object id) {
    List<Object> parts = id instanceof Tuple tuple ? tuple.items() : List.of();
    boolean good =
        parts.size() >= 5
            && "storage".equals(parts.get(0))
            && parts.get(1) instanceof StorageType
            && parts.get(2) instanceof String
            && parts.get(4) instanceof Long;
    if (!good) {
      if (lenient) {
        return new Opaque("persistent id");
      }
      List<String> kinds = parts.stream().limit(6).map(PickleValue::kind).toList();
      throw in.wrong(
          "the id of a storage: \"storage\", type, key, device, elements",
          String.join(", ", kinds));
    }
    String key = (String) parts.get(2);
    Dtype dtype = ((StorageType) parts.get(1)).dtype();
    storages.putIfAbsent(key, new Storage(key, dtype, 0, (Long) parts.get(4)));
    if (parts.size() == 5 || parts.get(5) == null) {
      return new Storage(key, dtype, 0, (Long) parts.get(4));
    }
    List<Object> view = parts.get(5) instanceof Tuple tuple ? tuple.items() : List.of();
    if (view.size() != 3
        || !(view.get(1) instanceof Long offset)
        || !(view.get(2) instanceof Long elements)) {
      throw in.wrong(
          "key, offset and elements of a view of storage " + quoted(key), kind(parts.get(5)));
    }
    return new Storage(key, dtype, offset, elements);
  }

  /** Sets alternating keys and values. */
  @SuppressWarnings("unchecked")
  void put(Map<?, ?> map, List<Object> items) {
    for (int i = 0; i < items.size(); i += 2) {
      // Only these have a hash that does not follow other values, which may be deep or lead back
      // here.
      Object key = items.get(i);
      if (key instanceof String
          || key instanceof Long
          || key instanceof Boolean
          || key instanceof Double) {
        ((Map<Object, Object>) map).put(key, items.get(i + 1));
      } else if (!lenient) {
        throw in.wrong("text or a number as the key of a dictionary", kind(key));
      }
    }
  }
}
