package dev.jneox.format.torch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.sun.management.ThreadMXBean;
import dev.jneox.io.InputException;
import dev.jneox.io.JneoxException;
import dev.jneox.io.JsonObject;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.stream.Stream;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.jspecify.annotations.NullUnmarked;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Files that are cut, or broken on purpose: each opens and gives its tensors, or is refused in one
 * line that names it; none asks for much memory. {@code CoreFuzzTest} has random changes.
 */
@NullUnmarked // a test fails by itself where a value is absent
@Tag("slow")
class BrokenTorchFileTest {
  private static final Path FILES = Path.of("src/test/resources/torch");
  private static final long MOST_BYTES = 8 << 20; // for files of some kilobytes
  private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();
  private static long touched;

  @TempDir static Path dir;

  @BeforeAll
  static void loadLibraries() {
    // So that these are not counted as the memory of the first input.
    JsonObject.quoted("");
  }

  /** Opens a file and touches every value of every tensor. Returns the error, or null. */
  private static JneoxException tried(Path path, long mostBytes) {
    long before = THREADS.getCurrentThreadAllocatedBytes();
    JneoxException error = null;
    try (Arena arena = Arena.ofShared();
        TorchFile file = TorchFile.open(path)) {
      for (String name : file.names()) {
        touch(file.read(name, arena));
      }
    } catch (JneoxException e) {
      assertThat(e.getMessage())
          .startsWith(path.toString())
          .hasSizeLessThan(1000)
          .doesNotContain("\n");
      error = e;
    }
    assertThat(THREADS.getCurrentThreadAllocatedBytes() - before).isLessThan(mostBytes);
    return error;
  }

  /** A view beyond the mapped file would end the process here. */
  private static void touch(MemorySegment bytes) {
    if (bytes.byteSize() > 0) {
      for (long at = 0; at < bytes.byteSize(); at += 512) {
        touched += bytes.get(ValueLayout.JAVA_BYTE, at);
      }
      touched += bytes.get(ValueLayout.JAVA_BYTE, bytes.byteSize() - 1);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"kinds.pt", "kinds-legacy.pt", "wrapped.pt", "protocol4.pt"})
  void cutAnywhere(String name) throws IOException {
    byte[] whole = Files.readAllBytes(FILES.resolve(name));
    Path path = dir.resolve("cut-" + name);
    Files.write(path, whole);
    assertThat(tried(path, MOST_BYTES)).isNull();
    try (var file = new java.io.RandomAccessFile(path.toFile(), "rw")) {
      for (int length = whole.length - 1; length >= 0; length--) {
        file.setLength(length);
        assertThat(tried(path, MOST_BYTES)).as("cut at " + length).isNotNull();
      }
    }
  }

  static Stream<Map.Entry<String, byte[]>> hostile() {
    byte[] deep = new byte[200_000];
    java.util.Arrays.fill(deep, (byte) ']');
    byte[] marks = deep.clone();
    java.util.Arrays.fill(marks, (byte) '(');
    return Map.ofEntries(
        Map.entry("dictionary of tensors", join(deep, bytes('.'))),
        Map.entry("a mark", join(text("x"), bytes(0x85, '0', 't', '.'))),
        Map.entry("a value to work on", join(marks, bytes('.'))),
        Map.entry("an opcode of a pickle of data, found 0x00", bytes(0x80, 2, 0)),
        Map.entry("0x50", bytes('P', 'x', '\n', '.')),
        Map.entry("0x69", bytes('(', 'i', 'o', 's', '\n', 'x', '\n', '.')),
        Map.entry("0x82", bytes(0x82, 1, '.')),
        Map.entry("protocol 9", bytes(0x80, 9, '}', '.')),
        Map.entry(
            "found the global \"builtins.eval\"",
            join(global("builtins", "eval"), text("1"), bytes(0x85, 'R', '.'))),
        Map.entry(
            "found the global \"os.system\"", join(text("os"), text("system"), bytes(0x93, '.'))),
        Map.entry(
            "9223372036854775807 more bytes",
            bytes(0x8d, 255, 255, 255, 255, 255, 255, 255, 127, '.')),
        Map.entry(
            "18446744073709551615 more bytes",
            bytes(0x8e, 255, 255, 255, 255, 255, 255, 255, 255, '.')),
        Map.entry("4294967280 more bytes", bytes('X', 0xf0, 255, 255, 255, '.')),
        Map.entry("an integer of at most 256 bytes", bytes(0x8b, 0, 1, 0, 127, '.')),
        Map.entry("a value that was remembered", bytes('h', 9, '.')),
        Map.entry("key of a dictionary", bytes('}', ']', 'K', 1, 's', '.')),
        Map.entry("keys and values in pairs", bytes('}', '(', 'K', 1, 'u', '.')),
        Map.entry("a list to append to", bytes('}', 'K', 1, 'a', '.')),
        Map.entry(
            "tensor \"w\": expected its storage \"9\", found none",
            dictionary(tensor(storage("9", 1), 0, list(1), list(1)))),
        Map.entry(
            "at most 4 elements in its storage \"0\", found 5",
            dictionary(tensor(storage("0", 5), 0, list(1), list(1)))),
        Map.entry("found -1", dictionary(tensor(storage("0", -1), 0, list(1), list(1)))),
        Map.entry(
            "as many strides as axes", dictionary(tensor(storage("0", 4), 0, list(2, 2), list(1)))),
        Map.entry(
            "axis 0 of length -2, stride 1",
            dictionary(tensor(storage("0", 4), 0, list(-2), list(1)))),
        Map.entry(
            "axis 0 of length 2, stride -1",
            dictionary(tensor(storage("0", 4), 1, list(2), list(-1)))),
        Map.entry(
            "the 4 elements of its storage, found element 4",
            dictionary(tensor(storage("0", 4), 3, list(2), list(1)))),
        Map.entry(
            "found element 6", dictionary(tensor(storage("0", 4), 0, list(2, 2), list(5, 1)))),
        Map.entry(
            "found 4 from element -1", dictionary(tensor(storage("0", 4), -1, list(4), list(1)))),
        Map.entry(
            "a size within a long",
            dictionary(tensor(storage("0", 4), 0, list(1L << 62, 4), list(0, 0)))),
        Map.entry(
            "found 4611686018427387904 from",
            dictionary(tensor(storage("0", 4), 0, list(1L << 62), list(0)))),
        Map.entry(
            "a tensor of at most 64 axes",
            dictionary(tensor(storage("0", 4), 0, list(new long[65]), list(1)))),
        Map.entry(
            "whole numbers in shape and strides (for \"w\")",
            dictionary(tensor(storage("0", 4), 0, bytes('N', 0x85), list(1)))),
        Map.entry(
            "a storage, an offset, a shape and strides (for \"w\")",
            dictionary(tensor(text("0"), 0, list(1), list(1)))),
        Map.entry(
            "at most 1048576 values", join(new byte[][] {filled(1_100_000, 'N'), bytes('.')})),
        Map.entry(
            "a name of at most 1024",
            dictionary("x".repeat(2000), tensor(storage("0", 4), 0, list(1), list(1)))))
        .entrySet()
        .stream();
  }

  @ParameterizedTest
  @MethodSource("hostile")
  void whatIsWrongIsSaid(Map.Entry<String, byte[]> pickle) throws IOException {
    Path path = archive(pickle.getValue());
    JneoxException error = tried(path, 100 << 20);
    assertThat(error).isNotNull();
    assertThat(error).hasMessageContaining(pickle.getKey());
  }

  @Test
  void aDictionaryThatContainsItselfAndAListToo() throws IOException {
    byte[] itself =
        join(
            bytes('}', 'q', 0),
            text("me"),
            bytes('h', 0, 's'),
            text("list"),
            bytes(']', 'q', 1, 'h', 1, 'a', 's'));
    Path path =
        archive(
            join(itself, text("w"), tensor(storage("0", 4), 0, list(4), list(1)), bytes('s', '.')));
    assertThat(tried(path, MOST_BYTES)).isNull();
    try (TorchFile file = TorchFile.open(path)) {
      assertThat(file.names()).containsExactly("w");
    }
  }

  /** Thirty dictionaries, each twice in the next: a billion ways to the innermost. */
  @Test
  void dictionariesThatUnfoldWithoutEnd() throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    out.writeBytes(
        join(
            bytes('}', 'q', 0),
            text("w"),
            tensor(storage("0", 4), 0, list(4), list(1)),
            bytes('s', '0')));
    for (int i = 1; i < 30; i++) {
      out.writeBytes(
          join(
              bytes('}', 'q', i),
              text("a"),
              bytes('h', i - 1, 's'),
              text("b"),
              bytes('h', i - 1, 's', '0')));
    }
    out.writeBytes(bytes('h', 29, '.'));
    assertThat(tried(archive(out.toByteArray()), MOST_BYTES)).isNull();
  }

  @Test
  void aStorageThatManyTensorsShareTakesNoMemoryForEach() throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    out.writeBytes(bytes('}'));
    for (int i = 0; i < 200; i++) {
      out.writeBytes(
          join(
              text("t" + i), tensor(storage("0", 1 << 18), 0, list(1 << 18), list(1)), bytes('s')));
    }
    out.writeBytes(bytes('.'));
    assertThat(tried(archive(out.toByteArray(), 1 << 20), MOST_BYTES)).isNull();
  }

  @Test
  void directoriesThatLie() throws IOException {
    byte[] good =
        Files.readAllBytes(archive(dictionary(tensor(storage("0", 4), 0, list(4), list(1)))));
    ByteBuffer lie = ByteBuffer.wrap(good).order(ByteOrder.LITTLE_ENDIAN);
    int end = good.length - 22;
    int directory = lie.getInt(end + 16);
    long[][] lies = {
      {end + 10, 2, 0xffff},
      {end + 12, 4, -1},
      {end + 16, 4, -1},
      {end + 16, 4, good.length},
      {end + 12, 4, good.length},
      {end + 10, 2, 900},
      {directory + 20, 4, -1},
      {directory + 24, 4, -1},
      {directory + 42, 4, -1},
      {directory + 42, 4, good.length - 4},
      {directory + 28, 2, 0xffff},
      {directory + 30, 2, 0xffff},
      {directory + 10, 2, 8},
      {directory + 8, 2, 1},
      {26, 2, 0xffff},
      {28, 2, 0xffff}
    };
    for (long[] change : lies) {
      byte[] bytes = good.clone();
      ByteBuffer buffer = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
      if (change[1] == 2) {
        buffer.putShort((int) change[0], (short) change[2]);
      } else {
        buffer.putInt((int) change[0], (int) change[2]);
      }
      Path path = dir.resolve("lie.pt");
      Files.write(path, bytes);
      assertThat(tried(path, MOST_BYTES)).as(java.util.Arrays.toString(change)).isNotNull();
    }
  }

  @Test
  void twoEntriesOfOneName() throws IOException {
    Path path = archive(dictionary(tensor(storage("0", 4), 0, list(4), list(1))));
    String text = Files.readString(path, StandardCharsets.ISO_8859_1);
    Files.writeString(path, text.replace("x/spares", "x/data/0"), StandardCharsets.ISO_8859_1);
    assertThatThrownBy(() -> TorchFile.open(path))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("entry \"x/data/0\": expected one of this name, found two");
  }

  private static Path archive(byte[] pickle) throws IOException {
    return archive(pickle, 16);
  }

  /** An archive made by Java's own zip: with a storage of that many bytes. */
  private static Path archive(byte[] pickle, int storage) throws IOException {
    Path path = dir.resolve("made.pt");
    try (ZipOutputStream zip = new ZipOutputStream(Files.newOutputStream(path))) {
      zip.setMethod(ZipOutputStream.STORED);
      put(zip, "x/data.pkl", pickle);
      put(zip, "x/byteorder", "little".getBytes(StandardCharsets.US_ASCII));
      put(zip, "x/data/0", new byte[storage]);
      put(zip, "x/spares", new byte[8]);
    }
    return path;
  }

  private static void put(ZipOutputStream zip, String name, byte[] bytes) throws IOException {
    ZipEntry entry = new ZipEntry(name);
    CRC32 crc = new CRC32();
    crc.update(bytes);
    entry.setCrc(crc.getValue());
    entry.setSize(bytes.length);
    zip.putNextEntry(entry);
    zip.write(bytes);
  }

  private static byte[] dictionary(byte[] tensor) {
    return dictionary("w", tensor);
  }

  private static byte[] dictionary(String name, byte[] tensor) {
    return join(bytes(0x80, 2, '}'), text(name), tensor, bytes('s', '.'));
  }

  private static byte[] tensor(byte[] storage, long offset, byte[] shape, byte[] strides) {
    return join(
        global("torch._utils", "_rebuild_tensor_v2"),
        bytes('('),
        storage,
        number(offset),
        shape,
        strides,
        bytes(0x89, '}', 't', 'R'));
  }

  private static byte[] storage(String key, long elements) {
    return join(
        bytes('('),
        text("storage"),
        global("torch", "FloatStorage"),
        text(key),
        text("cpu"),
        number(elements),
        bytes('t', 'Q'));
  }

  private static byte[] list(long... numbers) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    out.write('(');
    for (long n : numbers) {
      out.writeBytes(number(n));
    }
    out.write('t');
    return out.toByteArray();
  }

  private static byte[] number(long n) {
    ByteBuffer out = ByteBuffer.allocate(10).order(ByteOrder.LITTLE_ENDIAN);
    return out.put((byte) 0x8a).put((byte) 8).putLong(n).array();
  }

  private static byte[] text(String text) {
    byte[] utf8 = text.getBytes(StandardCharsets.UTF_8);
    ByteBuffer out = ByteBuffer.allocate(5 + utf8.length).order(ByteOrder.LITTLE_ENDIAN);
    return out.put((byte) 'X').putInt(utf8.length).put(utf8).array();
  }

  private static byte[] global(String module, String name) {
    return ("c" + module + "\n" + name + "\n").getBytes(StandardCharsets.UTF_8);
  }

  private static byte[] filled(int n, int value) {
    byte[] all = new byte[n];
    java.util.Arrays.fill(all, (byte) value);
    return all;
  }

  private static byte[] bytes(int... values) {
    byte[] all = new byte[values.length];
    for (int i = 0; i < values.length; i++) {
      all[i] = (byte) values[i];
    }
    return all;
  }

  private static byte[] join(byte[]... parts) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    for (byte[] part : parts) {
      out.writeBytes(part);
    }
    return out.toByteArray();
  }
}
