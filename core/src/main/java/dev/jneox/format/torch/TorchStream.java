package dev.jneox.format.torch;

import static dev.jneox.io.JsonObject.quoted;

import dev.jneox.format.torch.PickleValue.Storage;
import dev.jneox.io.InputException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.math.BigInteger;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Reads the stream that {@code torch.save} wrote before PyTorch 1.6 (and writes with {@code
 * _use_new_zipfile_serialization=False}): the pickles of a magic number, a version, the byte order,
 * the object and the list of storage keys; then for each key the number of elements in eight bytes,
 * little-endian, and the elements, usually not aligned.
 */
final class TorchStream {
  /** The first bytes of the pickled magic number, for protocols above 1. */
  static final byte[] START = {
    (byte) 0x8a, 0x0a, 0x6c, (byte) 0xfc, (byte) 0x9c, 0x46, (byte) 0xf9, 0x20
  };

  private static final BigInteger MAGIC = new BigInteger("1950a86a20f9469cfc6c", 16);
  private static final long VERSION = 1001;
  private static final ValueLayout.OfLong COUNT =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private final Path file;
  private final MemorySegment whole;
  private long at;

  private TorchStream(Path file, MemorySegment whole) {
    this.file = file;
    this.whole = whole;
  }

  /** Returns whether a file begins like such a stream. */
  static boolean is(MemorySegment whole) {
    return whole.byteSize() > START.length + 2
        && MemorySegment.mismatch(
                whole, 2, START.length + 2, MemorySegment.ofArray(START), 0, START.length)
            < 0;
  }

  static TorchContent read(Path file, MemorySegment whole, boolean lenient) {
    return new TorchStream(file, whole).content(lenient);
  }

  private TorchContent content(boolean lenient) {
    expect("magic number", MAGIC, pickle("magic number", false));
    expect("version", VERSION, pickle("version", false));
    if (pickle("byte order", false) instanceof Map<?, ?> machine) {
      expect("byte order, little_endian", true, machine.get("little_endian"));
    }
    PickleInput input = new PickleInput(file, "pickle at byte " + at, whole.asSlice(at));
    PickleReader reader = new PickleReader(input, lenient);
    Object root = reader.read();
    at += input.position();
    long keysAt = at;
    if (!(pickle("storage keys", false) instanceof List<?> keys)) {
      throw InputException.in(file, "byte " + keysAt, "the list of storage keys", "another value");
    }
    Map<String, MemorySegment> storages = new LinkedHashMap<>();
    for (Object key : keys) {
      Storage storage = key instanceof String name ? reader.storages().get(name) : null;
      if (storage == null || storages.containsKey(storage.key())) {
        throw InputException.in(
            file,
            "byte " + keysAt + ", storage keys",
            "each storage of the tensors once",
            key instanceof String name ? quoted(name) : "another value");
      }
      storages.put(storage.key(), next(storage));
    }
    return new TorchContent(root, storages);
  }

  private Object pickle(String part, boolean lenient) {
    PickleInput input = new PickleInput(file, part + " at byte " + at, whole.asSlice(at));
    Object value = new PickleReader(input, lenient).read();
    at += input.position();
    return value;
  }

  private void expect(String part, Object expected, @Nullable Object found) {
    if (!expected.equals(found)) {
      boolean shown = found instanceof Number || found instanceof Boolean;
      throw InputException.in(
          file, part, expected.toString(), shown ? String.valueOf(found) : "another value");
    }
  }

  private MemorySegment next(Storage storage) {
    String place = "storage " + quoted(storage.key()) + " at byte " + at;
    if (whole.byteSize() - at < Long.BYTES) {
      throw InputException.in(file, place, "its number of elements", "the end of the file");
    }
    long elements = whole.get(COUNT, at);
    at += Long.BYTES;
    long bytes = elements < 0 ? -1 : storage.dtype().bytes(List.of(elements));
    if (bytes < 0 || bytes > whole.byteSize() - at) {
      String expected = "at most " + (whole.byteSize() - at) + " bytes";
      throw InputException.in(file, place, expected, elements + " elements of " + storage.dtype());
    }
    at += bytes;
    return whole.asSlice(at - bytes, bytes);
  }
}
