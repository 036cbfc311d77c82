package dev.jneox.data;

import dev.jneox.io.AtomicFile;
import dev.jneox.io.InputException;
import dev.jneox.io.MappedFile;
import dev.jneox.io.Placeholder;
import dev.jneox.io.StorageException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * Holds an integer array as NumPy stores it: format version 1.0, little endian, rows first. The
 * data are outside the heap, so that an index of any size can be built and mapped. {@link #write}
 * gives exactly the bytes of {@code numpy.save} (NumPy 1.23 and later).
 *
 * @param shape length of each axis
 * @param data the elements, {@code product(shape) * type.bytes()} bytes
 */
public record Npy(ElementType type, List<Long> shape, MemorySegment data) {
  private static final byte[] MAGIC = {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0};
  private static final int PREFIX = MAGIC.length + 2;
  private static final int ALIGNMENT = 64;

  /** Digits that NumPy reserves in the header for the first axis to grow in place. */
  private static final int GROWTH_DIGITS = 21;

  /** NumPy's limit for the axes of an array. */
  private static final int MAX_AXES = 64;

  /** The most bytes of a header: {@value #MAX_AXES} axes, and space that NumPy leaves. */
  private static final int LONGEST_HEADER = 2048;

  private static final Pattern HEADER =
      Pattern.compile(
          "\\{'descr': '([<>=|]?[A-Za-z?]\\d{0,4})', 'fortran_order': (True|False), 'shape':"
              + " \\(((?:\\d{1,18}, ){0,"
              + (MAX_AXES - 1)
              + "}(?:\\d{1,18},?)?)\\), } *\n");
  private static final int CHUNK = 1 << 26;

  /** Allocates an array of zeros. */
  public static Npy allocate(Arena arena, ElementType type, long... shape) {
    long bytes = Arrays.stream(shape).reduce(type.bytes(), Math::multiplyExact);
    return new Npy(type, Arrays.stream(shape).boxed().toList(), arena.allocate(bytes, ALIGNMENT));
  }

  /** Returns the number of elements. */
  public long size() {
    return data.byteSize() / type.bytes();
  }

  /** Returns element {@code index} of the flattened array. */
  public long get(long index) {
    return type.get(data, index);
  }

  void set(long index, long value) {
    type.set(data, index, value);
  }

  /**
   * Maps a file read-only; the mapping ends with the arena. Rejects floating-point, big-endian and
   * column-first files.
   */
  public static Npy map(Path file, Arena arena) {
    try {
      MemorySegment all = MappedFile.open(file, arena).memory();
      if (all.byteSize() < PREFIX
          || all.asSlice(0, MAGIC.length).mismatch(MemorySegment.ofArray(MAGIC)) >= 0) {
        throw InputException.in(
            file,
            "byte 0",
            "a NumPy array of format version 1.0",
            "another kind of file" + Placeholder.hint(all));
      }
      int length = all.get(ElementType.SHORT, MAGIC.length) & 0xFFFF;
      if (all.byteSize() < PREFIX + length) {
        throw InputException.in(
            file, "header", PREFIX + length + " bytes", "a file of " + all.byteSize());
      }
      if (length > LONGEST_HEADER) {
        throw InputException.in(
            file, "byte 8, header", "at most " + LONGEST_HEADER + " bytes", length + " bytes");
      }
      byte[] header = all.asSlice(PREFIX, length).toArray(ValueLayout.JAVA_BYTE);
      return parse(
          file, new String(header, StandardCharsets.ISO_8859_1), all.asSlice(PREFIX + length));
    } catch (IOException e) {
      throw StorageException.of(file, "cannot be read", e);
    }
  }

  private static Npy parse(Path file, String header, MemorySegment data) {
    Matcher matcher = HEADER.matcher(header);
    if (!matcher.matches()) {
      throw InputException.in(
          file, "header", "{'descr': .., 'fortran_order': .., 'shape': (..), }", "something else");
    }
    ElementType type =
        ElementType.ofDescr(matcher.group(1))
            .filter(ElementType::isInteger)
            .orElseThrow(
                () ->
                    InputException.in(
                        file,
                        "descr",
                        "a little-endian integer type such as <i4",
                        matcher.group(1)));
    if (matcher.group(2).equals("True")) {
      throw InputException.in(file, "fortran_order", "False", "True");
    }
    List<Long> shape =
        Arrays.stream(matcher.group(3).split("[, ]+"))
            .filter(s -> !s.isEmpty())
            .map(Long::valueOf)
            .toList();
    try {
      long bytes = shape.stream().reduce((long) type.bytes(), Math::multiplyExact);
      if (bytes != data.byteSize()) {
        throw InputException.in(
            file, "data", bytes + " bytes for shape " + shape, String.valueOf(data.byteSize()));
      }
    } catch (ArithmeticException e) {
      throw InputException.in(file, "shape", "an array that fits into a file", shape.toString());
    }
    return new Npy(type, shape, data);
  }

  /** Writes the array, whole or not at all. */
  public void write(Path file) {
    try (AtomicFile target = new AtomicFile(file)) {
      try (FileChannel out =
          FileChannel.open(
              target.path(), StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
        put(out, ByteBuffer.wrap(header()));
        for (long from = 0; from < data.byteSize(); from += CHUNK) {
          put(out, data.asSlice(from, Math.min(CHUNK, data.byteSize() - from)).asByteBuffer());
        }
      } catch (IOException e) {
        throw StorageException.of(file, "cannot be written", e);
      }
      target.commit();
    }
  }

  private static void put(FileChannel out, ByteBuffer bytes) throws IOException {
    while (bytes.hasRemaining()) {
      out.write(bytes);
    }
  }

  /** Formats magic, length and dictionary, padded as NumPy pads them. */
  byte[] header() {
    String axes =
        shape.stream()
            .map(String::valueOf)
            .collect(Collectors.joining(", ", "(", shape.size() == 1 ? ",)" : ")"));
    StringBuilder header =
        new StringBuilder("{'descr': '")
            .append(type.descr())
            .append("', 'fortran_order': False, 'shape': ")
            .append(axes)
            .append(", }");
    if (!shape.isEmpty()) {
      header.repeat(' ', GROWTH_DIGITS - String.valueOf(shape.getFirst()).length());
    }
    header.repeat(' ', ALIGNMENT - (PREFIX + header.length() + 1) % ALIGNMENT).append('\n');
    return ByteBuffer.allocate(PREFIX + header.length())
        .order(ByteOrder.LITTLE_ENDIAN)
        .put(MAGIC)
        .putShort((short) header.length())
        .put(header.toString().getBytes(StandardCharsets.ISO_8859_1))
        .array();
  }
}
