package dev.jneox.format.torch;

import static dev.jneox.io.JsonObject.quoted;

import dev.jneox.format.torch.PickleValue.Storage;
import dev.jneox.format.torch.PickleValue.StoredTensor;
import dev.jneox.io.InputException;
import dev.jneox.io.MappedFile;
import dev.jneox.io.Placeholder;
import dev.jneox.io.StorageException;
import dev.jneox.weights.Dtype;
import dev.jneox.weights.TensorFile;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;

/**
 * Maps a file of {@code torch.save} ({@code .bin}, {@code .pt}) that holds a dictionary of tensors:
 * the zip archive of PyTorch 1.6 and later ({@link TorchArchive}) or the stream of earlier versions
 * ({@link TorchStream}). The pickle is read as data, so that a malicious file can run nothing
 * ({@link PickleReader}).
 *
 * <p>Tensors in nested dictionaries have dotted names ({@code optimizer.state.step}). Where all lie
 * in one entry {@code state_dict}, {@code module} or {@code model}, that name is left out. Other
 * values are skipped.
 */
public final class TorchFile implements TensorFile {
  private static final List<String> WRAPPERS = List.of("state_dict", "module", "model");
  private static final int MAX_DEPTH = 8;
  private static final int MAX_NAME = 1024;

  /**
   * Describes a tensor.
   *
   * @param dtype type of its elements
   * @param shape length of each axis
   * @param data the bytes of its storage, which others may share
   * @param offset of its first element; like the strides in elements
   * @param strides distance of neighbours on each axis
   */
  private record Entry(Dtype dtype, long[] shape, MemorySegment data, long offset, long[] strides) {
    long bytes() {
      return dtype.bytes(boxed(shape));
    }

    boolean contiguous() {
      long step = 1;
      for (int i = shape.length - 1; i >= 0; i--) {
        if (shape[i] != 1 && strides[i] != step) {
          return false;
        }
        step *= shape[i];
      }
      return true;
    }
  }

  private final Path file;
  private final Arena arena = Arena.ofShared();
  private final MappedFile mapped;
  private final MemorySegment whole;
  private final Map<String, Entry> entries = new LinkedHashMap<>();

  private TorchFile(Path file, boolean lenient) {
    this.file = file;
    boolean opened = false;
    try {
      mapped = MappedFile.open(file, arena);
      whole = mapped.memory();
      TorchContent content = content(lenient);
      collect(
          "",
          unwrapped(content.root()),
          content.storages(),
          Collections.newSetFromMap(new IdentityHashMap<>()),
          0);
      opened = true;
    } catch (IOException e) {
      throw StorageException.of(file, "cannot be read", e);
    } finally {
      if (!opened) {
        arena.close();
      }
    }
  }

  /**
   * Maps {@code file} and reads its pickle.
   *
   * @throws InputException when it is no such file, or holds anything but plain values and tensors
   */
  public static TorchFile open(Path file) {
    return new TorchFile(file, false);
  }

  /**
   * Does the same, but skips values that are neither plain nor a tensor (random states, arguments).
   */
  public static TorchFile openTensorsOf(Path file) {
    return new TorchFile(file, true);
  }

  private TorchContent content(boolean lenient) {
    if (TorchStream.is(whole)) {
      return TorchStream.read(file, whole, lenient);
    }
    if (whole.byteSize() >= 4
        && whole.get(ValueLayout.JAVA_INT_UNALIGNED, 0) == TorchArchive.LOCAL_HEADER) {
      return TorchArchive.read(file, whole, lenient);
    }
    throw InputException.in(
        file,
        "byte 0",
        "a zip archive or a stream of torch.save",
        whole.byteSize() + " bytes that begin otherwise" + Placeholder.hint(whole));
  }

  private Map<?, ?> unwrapped(Object root) {
    if (!(root instanceof Map<?, ?> map)) {
      throw InputException.in(file, "content", "a dictionary of tensors", "another value");
    }
    if (map.values().stream().noneMatch(StoredTensor.class::isInstance)) {
      List<String> wrappers =
          WRAPPERS.stream().filter(name -> map.get(name) instanceof Map<?, ?>).toList();
      if (wrappers.size() == 1) {
        return (Map<?, ?>) Objects.requireNonNull(map.get(wrappers.getFirst()));
      }
    }
    return map;
  }

  private void collect(
      String prefix,
      Map<?, ?> map,
      Map<String, MemorySegment> storages,
      Set<Object> seen,
      int depth) {
    // Each dictionary is visited once: several paths may lead to it, even from itself.
    if (depth > MAX_DEPTH || !seen.add(map)) {
      return;
    }
    for (Map.Entry<?, ?> item : map.entrySet()) {
      if (!(item.getValue() instanceof StoredTensor) && !(item.getValue() instanceof Map<?, ?>)) {
        continue;
      }
      String name = prefix + item.getKey();
      if (name.length() > MAX_NAME) {
        String found = String.valueOf(name.length());
        throw InputException.in(
            file, quoted(name), "a name of at most " + MAX_NAME + " characters", found);
      }
      if (item.getValue() instanceof Map<?, ?> inner) {
        collect(name + ".", inner, storages, seen, depth + 1);
      } else if (entries.put(name, entry(name, (StoredTensor) item.getValue(), storages)) != null) {
        throw InputException.in(file, "tensor " + quoted(name), "one of this name", "two");
      }
    }
  }

  /** Checks the claims of a file about a tensor against its storage. */
  private Entry entry(String name, StoredTensor tensor, Map<String, MemorySegment> storages) {
    Storage storage = tensor.storage();
    MemorySegment data = storages.get(storage.key());
    int width = storage.dtype().bits() / 8;
    if (data == null) {
      throw wrong(name, "its storage " + quoted(storage.key()), "none");
    }
    if (storage.offset() < 0
        || storage.elements() < 0
        || storage.offset() > data.byteSize() / width
        || storage.elements() > data.byteSize() / width - storage.offset()) {
      String found =
          storage.elements() + (storage.offset() == 0 ? "" : " from element " + storage.offset());
      throw wrong(
          name,
          "at most "
              + data.byteSize() / width
              + " elements in its storage "
              + quoted(storage.key()),
          found);
    }
    long[] shape = tensor.shape();
    long[] strides = tensor.strides();
    if (shape.length != strides.length) {
      throw wrong(
          name,
          "as many strides as axes",
          strides.length + " strides of " + shape.length + " axes");
    }
    long last = last(name, tensor, storage);
    if (last >= storage.elements()) {
      throw wrong(
          name,
          "to lie within the " + storage.elements() + " elements of its storage",
          "element " + last);
    }
    return new Entry(
        storage.dtype(),
        shape,
        data.asSlice(storage.offset() * width, storage.elements() * width),
        tensor.offset(),
        strides);
  }

  /**
   * Returns the index of the last element of its storage that the tensor uses; -1 when it has none.
   */
  private long last(String name, StoredTensor tensor, Storage storage) {
    long[] shape = tensor.shape();
    long last = tensor.offset();
    long elements = 1;
    try {
      for (int i = 0; i < shape.length; i++) {
        if (shape[i] < 0 || tensor.strides()[i] < 0) {
          String found = "axis " + i + " of length " + shape[i] + ", stride " + tensor.strides()[i];
          throw wrong(name, "lengths and strides from 0", found);
        }
        elements = Math.multiplyExact(elements, shape[i]);
        last =
            Math.addExact(last, Math.multiplyExact(Math.max(0, shape[i] - 1), tensor.strides()[i]));
      }
    } catch (ArithmeticException e) {
      throw wrong(name, "a size within a long", "shape " + boxed(shape));
    }
    // A stride of 0 repeats elements: a tensor that is larger than its storage would be made by a
    // copy.
    if (tensor.offset() < 0 || elements > storage.elements()) {
      String found = elements + " from element " + tensor.offset();
      throw wrong(name, "at most the " + storage.elements() + " elements of its storage", found);
    }
    return elements == 0 ? -1 : last;
  }

  private InputException wrong(String name, String expected, String found) {
    return InputException.in(file, "tensor " + quoted(name), expected, found);
  }

  @Override
  public Path file() {
    return file;
  }

  @Override
  public Set<String> names() {
    return Collections.unmodifiableSet(entries.keySet());
  }

  @Override
  public Dtype dtype(String name) {
    return entry(name).dtype();
  }

  @Override
  public long[] shape(String name) {
    return entry(name).shape().clone();
  }

  private Entry entry(String name) {
    Entry entry = entries.get(name);
    if (entry == null) {
      throw new InputException(file + ": has no tensor " + quoted(name));
    }
    return entry;
  }

  /** Returns the bytes of a tensor if it lies in the file row by row; else empty. */
  @Override
  public Optional<MemorySegment> data(String name) {
    Entry entry = entry(name);
    requireOpen();
    int width = entry.dtype().bits() / 8;
    // An empty tensor may begin beyond the end of its storage.
    long from = entry.bytes() == 0 ? 0 : entry.offset() * width;
    return entry.contiguous()
        ? Optional.of(entry.data().asSlice(from, entry.bytes()))
        : Optional.empty();
  }

  private void requireOpen() {
    if (!arena.scope().isAlive()) {
      throw new IllegalStateException(file + " is closed");
    }
    check();
  }

  @Override
  public MemorySegment read(String name, Arena into) {
    Optional<MemorySegment> data = data(name);
    if (data.isPresent()) {
      return data.get();
    }
    Entry entry = entry(name);
    int width = entry.dtype().bits() / 8;
    MemorySegment rows = into.allocate(entry.bytes(), 64);
    long[] index = new long[entry.shape().length];
    for (long at = 0; at < entry.bytes(); at += width) {
      long element = entry.offset();
      for (int axis = 0; axis < index.length; axis++) {
        element += index[axis] * entry.strides()[axis];
      }
      MemorySegment.copy(entry.data(), element * width, rows, at, width);
      for (int axis = index.length - 1; axis >= 0 && ++index[axis] == entry.shape()[axis]; axis--) {
        index[axis] = 0;
      }
    }
    return rows;
  }

  private static List<Long> boxed(long[] shape) {
    return java.util.Arrays.stream(shape).boxed().toList();
  }

  @Override
  public void release() {
    if (arena.scope().isAlive()) {
      mapped.release();
    }
  }

  @Override
  public void check() {
    mapped.check();
  }

  /** Unmaps the file; further calls do nothing. */
  @Override
  public void close() {
    if (arena.scope().isAlive()) {
      arena.close();
    }
  }
}
