package dev.jneox.format.gguf;

import static dev.jneox.io.JsonObject.quoted;

import dev.jneox.format.gguf.GgufFile.Entry;
import dev.jneox.format.gguf.GgufValue.Type;
import dev.jneox.io.InputException;
import dev.jneox.io.Placeholder;
import dev.jneox.weights.GgmlType;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Parses everything before the tensors of a GGUF file, and trusts none of it. It checks every count
 * and length against the remaining bytes before it allocates that much, and every tensor's place
 * against the file.
 */
final class GgufHeader {
  /** "GGUF", little-endian. */
  static final int MAGIC = 0x46554747;

  static final String ALIGNMENT = "general.alignment";
  static final int DEFAULT_ALIGNMENT = 32;

  // Limits far above any model, so that a broken file is rejected before memory is allocated.
  private static final long MAX_KEYS = 1 << 16;
  private static final long MAX_TENSORS = 1 << 20;
  private static final long MAX_NAME = 1 << 16;
  private static final long MAX_TEXT = 1 << 26;
  private static final long MAX_ARRAY = 1 << 24;
  private static final int MAX_AXES = 4;

  // The least that a key with its value, and a tensor's entry, take.
  private static final int KEY_BYTES = Long.BYTES + Integer.BYTES + 1;
  private static final int TENSOR_BYTES = 2 * Long.BYTES + 2 * Integer.BYTES;

  private static final ValueLayout.OfShort I16 =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfInt I32 =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfLong I64 =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfFloat F32 =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfDouble F64 =
      ValueLayout.JAVA_DOUBLE_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private final Path file;
  private final MemorySegment bytes;
  private final Map<String, GgufValue> values = new LinkedHashMap<>();
  private final Map<String, Entry> entries = new LinkedHashMap<>();
  private final GgufMetadata metadata;
  private long at;

  private GgufHeader(Path file, MemorySegment bytes) {
    this.file = file;
    this.bytes = bytes;
    magic();
    long tensors = count("number of tensors", MAX_TENSORS, TENSOR_BYTES);
    long keys = count("number of keys", MAX_KEYS, KEY_BYTES);
    for (long i = 0; i < keys; i++) {
      key();
    }
    metadata = new GgufMetadata(file, values);
    long alignment = alignment();
    List<Entry> relative = new ArrayList<>();
    for (long i = 0; i < tensors; i++) {
      relative.add(tensor(alignment));
    }
    long data = (at + alignment - 1) / alignment * alignment;
    relative.forEach(entry -> place(entry, data));
    checkOverlaps();
  }

  /** Parses and checks {@code bytes}, the whole file. */
  static GgufHeader read(Path file, MemorySegment bytes) {
    return new GgufHeader(file, bytes);
  }

  GgufMetadata metadata() {
    return metadata;
  }

  /** Returns the tensors by name, in the order of the file. */
  Map<String, Entry> entries() {
    return entries;
  }

  private void magic() {
    need(2 * Integer.BYTES, "magic and version");
    int magic = bytes.get(I32, 0);
    if (magic != MAGIC) {
      String hint = Placeholder.hint(bytes);
      String found = String.format("0x%08x", Integer.reverseBytes(magic));
      throw InputException.in(
          file, "byte 0, magic", "GGUF", found + (hint.isEmpty() ? " (not a GGUF file)" : hint));
    }
    int version = bytes.get(I32, 4);
    if (version != 2 && version != 3) {
      boolean swapped = Integer.reverseBytes(version) == 2 || Integer.reverseBytes(version) == 3;
      String found = swapped ? "a big-endian file" : Integer.toUnsignedString(version);
      throw InputException.in(
          file, "byte 4, version", "2 or 3, little-endian", found + " (convert the model again)");
    }
    at = 2 * Integer.BYTES;
  }

  private void need(long count, String place) {
    if (count > bytes.byteSize() - at) {
      throw InputException.in(
          file,
          "byte " + at + ", " + place,
          Long.toUnsignedString(count) + " bytes",
          bytes.byteSize() - at + " bytes to the end of the file (is it complete?)");
    }
  }

  /**
   * Reads a count of items of at least {@code each} bytes, which must fit into the rest of the
   * file.
   */
  private long count(String place, long most, long each) {
    long start = at;
    long count = u64(place);
    long room = Math.min(most, (bytes.byteSize() - at) / each);
    if (count < 0 || count > room) {
      String expected =
          "at most " + room + (room < most ? ", as many as the rest of the file could hold" : "");
      throw InputException.in(
          file, "byte " + start + ", " + place, expected, Long.toUnsignedString(count));
    }
    return count;
  }

  private long u32(String place) {
    need(Integer.BYTES, place);
    int value = bytes.get(I32, at);
    at += Integer.BYTES;
    return Integer.toUnsignedLong(value);
  }

  private long u64(String place) {
    need(Long.BYTES, place);
    long value = bytes.get(I64, at);
    at += Long.BYTES;
    return value;
  }

  private String text(String place, long most) {
    int length = (int) count("length of " + place, most, 1);
    byte[] utf8 = bytes.asSlice(at, length).toArray(ValueLayout.JAVA_BYTE);
    String text = new String(utf8, StandardCharsets.UTF_8);
    if (text.indexOf('\uFFFD') >= 0
        && !Arrays.equals(text.getBytes(StandardCharsets.UTF_8), utf8)) {
      throw InputException.in(file, "byte " + at + ", " + place, "UTF-8", "other bytes");
    }
    at += length;
    return text;
  }

  private void key() {
    long start = at;
    String key = text("a key", MAX_NAME);
    String place = "key " + quoted(key);
    if (values.containsKey(key)) {
      throw InputException.in(file, "byte " + start + ", " + place, "each key once", "it again");
    }
    Type type = type(place);
    values.put(key, type == Type.ARRAY ? array(place) : new GgufValue(type, single(type, place)));
  }

  private Type type(String place) {
    long start = at;
    long id = u32("type of " + place);
    Type type = Type.of(id);
    if (type == null) {
      String expected = "0 to " + (Type.values().length - 1);
      throw InputException.in(
          file, "byte " + start + ", type of " + place, expected, String.valueOf(id));
    }
    return type;
  }

  private Object single(Type type, String place) {
    if (type == Type.STRING) {
      return text(place, MAX_TEXT);
    }
    need(type.bytes(), place);
    long from = at;
    at += type.bytes();
    return switch (type) {
      case FLOAT32 -> (double) bytes.get(F32, from);
      case FLOAT64 -> bytes.get(F64, from);
      case BOOL -> integer(type, from, place) == 1;
      default -> integer(type, from, place);
    };
  }

  private long integer(Type type, long from, String place) {
    return switch (type) {
      case UINT8 -> bytes.get(ValueLayout.JAVA_BYTE, from) & 0xFFL;
      case INT8 -> bytes.get(ValueLayout.JAVA_BYTE, from);
      case UINT16 -> Short.toUnsignedLong(bytes.get(I16, from));
      case INT16 -> bytes.get(I16, from);
      case UINT32 -> Integer.toUnsignedLong(bytes.get(I32, from));
      case INT32 -> bytes.get(I32, from);
      case UINT64, INT64 -> bytes.get(I64, from);
      case BOOL -> {
        byte value = bytes.get(ValueLayout.JAVA_BYTE, from);
        if (value != 0 && value != 1) {
          throw InputException.in(
              file,
              "byte " + from + ", " + place,
              "0 or 1 for false or true",
              String.valueOf(value));
        }
        yield value;
      }
      default -> throw new IllegalArgumentException(type + " is no integer");
    };
  }

  private GgufValue array(String place) {
    long start = at;
    Type type = type("the elements of " + place);
    if (type == Type.ARRAY) {
      throw InputException.in(
          file, "byte " + start + ", " + place, "an array of single values", "an array of arrays");
    }
    int each = type == Type.STRING ? Long.BYTES : type.bytes();
    int count = (int) count("length of " + place, MAX_ARRAY, each);
    if (type == Type.STRING) {
      List<String> texts = new ArrayList<>(count);
      for (int i = 0; i < count; i++) {
        texts.add(text(place + ", element " + i, MAX_TEXT));
      }
      return new GgufValue(type, texts);
    }
    long from = at;
    at += (long) count * each;
    if (type.isReal()) {
      double[] reals = new double[count];
      for (int i = 0; i < count; i++) {
        long element = from + (long) i * each;
        reals[i] = type == Type.FLOAT32 ? bytes.get(F32, element) : bytes.get(F64, element);
      }
      return new GgufValue(type, reals);
    }
    long[] integers = new long[count];
    for (int i = 0; i < count; i++) {
      integers[i] = integer(type, from + (long) i * each, place);
    }
    return new GgufValue(type, integers);
  }

  private long alignment() {
    int alignment = metadata.integer(ALIGNMENT, DEFAULT_ALIGNMENT, 1, 1 << 20);
    if (Integer.bitCount(alignment) != 1) {
      throw metadata.wrong(ALIGNMENT, "a power of two");
    }
    return alignment;
  }

  /** Reads an entry, whose offset counts from the beginning of the data. */
  private Entry tensor(long alignment) {
    String name = text("a tensor's name", MAX_NAME);
    String place = "tensor " + quoted(name);
    long start = at;
    long axes = u32("axes of " + place);
    if (axes > MAX_AXES) {
      throw InputException.in(
          file,
          "byte " + start + ", axes of " + place,
          "at most " + MAX_AXES,
          String.valueOf(axes));
    }
    Long[] shape = new Long[(int) axes];
    for (int i = 0; i < shape.length; i++) {
      // The format writes the axis of neighbours in memory first, libtorch last.
      shape[shape.length - 1 - i] = u64("shape of " + place);
    }
    start = at;
    long id = u32("type of " + place);
    GgmlType type = GgmlType.of(id).orElse(null);
    if (type == null) {
      String expected = "one of " + List.of(GgmlType.values());
      throw InputException.in(
          file,
          "byte " + start + ", type of " + place,
          expected,
          "ggml's type " + GgmlType.nameOf(id) + " (take the model in one of these)");
    }
    long values = values(List.of(shape), type);
    if (values < 0) {
      String expected =
          "rows of whole blocks of "
              + type.blockValues()
              + " values, and a size that fits in a file";
      throw InputException.in(file, "shape of " + place, expected, type + Arrays.toString(shape));
    }
    start = at;
    long offset = u64("offset of " + place);
    if (offset < 0 || offset % alignment != 0) {
      String expected = "a multiple of the alignment " + alignment;
      throw InputException.in(
          file, "byte " + start + ", offset of " + place, expected, Long.toUnsignedString(offset));
    }
    return new Entry(name, type, List.of(shape), offset, type.bytes(values));
  }

  /**
   * Returns the number of values of a tensor; -1 when it exceeds any file, or a row is no whole
   * number of blocks.
   */
  private static long values(List<Long> shape, GgmlType type) {
    try {
      long values = 1;
      for (long n : shape) {
        if (n < 1) {
          return -1;
        }
        values = Math.multiplyExact(values, n);
      }
      long row = shape.isEmpty() ? 1 : shape.getLast();
      Math.multiplyExact(values, type.blockBytes());
      return row % type.blockValues() == 0 ? values : -1;
    } catch (ArithmeticException e) {
      return -1;
    }
  }

  private void place(Entry entry, long data) {
    String place = "tensor " + quoted(entry.name());
    if (entry.begin() > bytes.byteSize() - data
        || entry.bytes() > bytes.byteSize() - data - entry.begin()) {
      String expected = entry.bytes() + " bytes from " + entry.begin() + " within the data";
      String found =
          Math.max(0, bytes.byteSize() - data) + " bytes of data in the file (is it complete?)";
      throw InputException.in(file, place, expected, found);
    }
    Entry placed =
        new Entry(entry.name(), entry.type(), entry.shape(), data + entry.begin(), entry.bytes());
    if (entries.put(entry.name(), placed) != null) {
      throw InputException.in(file, place, "each tensor once", "it again");
    }
  }

  private void checkOverlaps() {
    List<Entry> byPlace = new ArrayList<>(entries.values());
    byPlace.sort(Comparator.comparingLong(Entry::begin));
    for (int i = 1; i < byPlace.size(); i++) {
      Entry before = byPlace.get(i - 1);
      Entry entry = byPlace.get(i);
      if (entry.begin() < before.begin() + before.bytes()) {
        String expected =
            "to begin after "
                + quoted(before.name())
                + ", which ends at byte "
                + (before.begin() + before.bytes());
        throw InputException.in(
            file, "tensor " + quoted(entry.name()), expected, "byte " + entry.begin());
      }
    }
  }
}
