package dev.jneox.format.gguf;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.format.gguf.GgufValue.Type;
import dev.jneox.format.gguf.GgufWriter.Declared;
import dev.jneox.io.InputException;
import dev.jneox.io.StorageException;
import dev.jneox.weights.Dtype;
import dev.jneox.weights.GgmlType;
import dev.jneox.weights.MappedTensor;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class GgufFileTest {
  private static final long TWO_TO_63 = Long.MIN_VALUE;

  @TempDir Path dir;

  /** A value of every type. */
  static Map<String, GgufValue> everyType() {
    Map<String, GgufValue> values = new LinkedHashMap<>();
    values.put("u8", new GgufValue(Type.UINT8, 255L));
    values.put("i8", new GgufValue(Type.INT8, -128L));
    values.put("u16", new GgufValue(Type.UINT16, 65535L));
    values.put("i16", new GgufValue(Type.INT16, -32768L));
    values.put("u32", new GgufValue(Type.UINT32, 4294967295L));
    values.put("i32", new GgufValue(Type.INT32, -2147483648L));
    values.put("f32", new GgufValue(Type.FLOAT32, 0.5));
    values.put("bool", GgufValue.flag(true));
    values.put("text", GgufValue.text("größer\n"));
    values.put("u64", new GgufValue(Type.UINT64, -1L));
    values.put("i64", new GgufValue(Type.INT64, Long.MIN_VALUE));
    values.put("f64", new GgufValue(Type.FLOAT64, 1e300));
    values.put("texts", GgufValue.texts(List.of("a", "", "Ġb")));
    values.put("i32s", GgufValue.i32s(new int[] {1, -2, 3}));
    values.put("u8s", new GgufValue(Type.UINT8, new long[] {0, 200}));
    values.put("bools", new GgufValue(Type.BOOL, new long[] {1, 0}));
    values.put("f32s", new GgufValue(Type.FLOAT32, new double[] {1.5, -2}));
    values.put("empty", GgufValue.texts(List.of()));
    return values;
  }

  static void write(Path file, Map<String, GgufValue> metadata, Declared... tensors) {
    try (GgufWriter writer = new GgufWriter(file, metadata, List.of(tensors), bytes -> {})) {
      for (Declared tensor : tensors) {
        byte[] data = new byte[(int) tensor.bytes()];
        for (int i = 0; i < data.length; i++) {
          data[i] = (byte) (i * 7 % 60);
        }
        writer.write(tensor.name(), MemorySegment.ofArray(data));
      }
      writer.commit();
    }
  }

  static Declared tensor(String name, GgmlType type, long... shape) {
    List<Long> axes = new ArrayList<>();
    for (long n : shape) {
      axes.add(n);
    }
    return new Declared(name, type, axes);
  }

  @Test
  void metadataOfEveryTypeComesBack() {
    Path file = dir.resolve("a.gguf");
    write(file, everyType());
    try (GgufFile gguf = GgufFile.open(file)) {
      assertThat(gguf.metadata().values()).isEqualTo(everyType());
      assertThat(List.copyOf(gguf.metadata().values().keySet()))
          .isEqualTo(List.copyOf(everyType().keySet()));
    }
  }

  @Test
  void tensorsLieAlignedAndAreViewsWhereTheyCanBe() throws IOException {
    Path file = dir.resolve("a.gguf");
    long[] told = {0};
    List<Declared> tensors =
        List.of(
            tensor("h", GgmlType.F16, 3, 5),
            tensor("q", GgmlType.Q8_0, 2, 32),
            tensor("f", GgmlType.F32, 4),
            tensor("s", GgmlType.F32));
    try (GgufWriter writer = new GgufWriter(file, Map.of(), tensors, bytes -> told[0] += bytes)) {
      for (Declared tensor : tensors) {
        writer.write(tensor.name(), MemorySegment.ofArray(new byte[(int) tensor.bytes()]));
      }
      assertThat(file).doesNotExist();
      writer.commit();
    }
    assertThat(told[0]).isEqualTo(Files.size(file)).isEqualTo(GgufWriter.size(Map.of(), tensors));
    try (GgufFile gguf = GgufFile.open(file)) {
      assertThat(gguf.entries())
          .extracting(GgufFile.Entry::name)
          .containsExactly("h", "q", "f", "s");
      assertThat(gguf.entries()).allSatisfy(entry -> assertThat(entry.begin() % 32).isZero());
      assertThat(gguf.data("h").isMapped()).isTrue();
      assertThat(gguf.entry("h").type().dtype()).contains(Dtype.F16);
      assertThat(gguf.entry("h").axes()).containsExactly(3, 5);
      assertThat(gguf.data("h").byteSize()).isEqualTo(30);
      assertThat(gguf.entry("q").type().dtype()).isEmpty();
      assertThat(gguf.entry("q").axes()).containsExactly(2, 32);
      assertThat(gguf.entry("s").axes()).isEmpty();
      assertThat(gguf.data("s").byteSize()).isEqualTo(4);
    }
  }

  @Test
  void tensorOffItsAlignmentInMemoryIsRead() throws IOException {
    Path file = dir.resolve("a.gguf");
    Files.write(
        file,
        new Bytes()
            .start(3, 1, 1)
            .text("general.alignment")
            .u32(4)
            .u32(1)
            .text("t")
            .u32(1)
            .u64(2)
            .u32(0)
            .u64(0)
            .bytes(8));
    try (GgufFile gguf = GgufFile.open(file)) {
      assertThat(gguf.data("t").address() % 4).isNotZero();
      assertThat(new MappedTensor(Dtype.F32, gguf.data("t")).floats()).containsExactly(0, 0);
    }
  }

  @Test
  void versionTwoIsReadToo() throws IOException {
    Path file = dir.resolve("a.gguf");
    write(file, Map.of("k", GgufValue.u32(7)), tensor("t", GgmlType.F32, 2));
    byte[] bytes = Files.readAllBytes(file);
    bytes[4] = 2;
    Files.write(file, bytes);
    try (GgufFile gguf = GgufFile.open(file)) {
      assertThat(gguf.metadata().values().get("k")).isEqualTo(GgufValue.u32(7));
    }
  }

  /** Bytes of a file, written as the format has them. */
  static final class Bytes {
    private final ByteBuffer out = ByteBuffer.allocate(1 << 16).order(ByteOrder.LITTLE_ENDIAN);

    Bytes start(int version, long tensors, long keys) {
      out.putInt(GgufHeader.MAGIC).putInt(version).putLong(tensors).putLong(keys);
      return this;
    }

    Bytes u32(int value) {
      out.putInt(value);
      return this;
    }

    Bytes u64(long value) {
      out.putLong(value);
      return this;
    }

    Bytes text(String text) {
      byte[] utf8 = text.getBytes(StandardCharsets.UTF_8);
      out.putLong(utf8.length).put(utf8);
      return this;
    }

    /** A tensor's entry. */
    Bytes tensor(String name, int type, long offset, long... sizes) {
      text(name).u32(sizes.length);
      for (long size : sizes) {
        u64(size);
      }
      return u32(type).u64(offset);
    }

    /** All of it, and as many zeros after the next multiple of 32. */
    byte[] bytes(int data) {
      int alignment = (out.position() + 31) / 32 * 32;
      return Arrays.copyOf(out.array(), alignment + data);
    }
  }

  private static void refused(Bytes bytes, int data, String... says) {
    assertThatThrownBy(
            () -> GgufHeader.read(Path.of("bad.gguf"), MemorySegment.ofArray(bytes.bytes(data))))
        .isInstanceOf(InputException.class)
        .hasMessageStartingWith("bad.gguf: ")
        .hasMessageContainingAll(says);
  }

  @Test
  void liesOfAHeaderAreNamed() {
    refused(new Bytes().u32(0x04034b50).u64(0), 0, "byte 0, magic", "GGUF", "0x504b0304");
    refused(new Bytes().start(1, 0, 0), 0, "byte 4, version", "found 1");
    refused(new Bytes().start(3 << 24, 0, 0), 0, "big-endian");
    refused(
        new Bytes().start(3, TWO_TO_63, 0),
        0,
        "byte 8, number of tensors",
        "found 9223372036854775808");
    refused(new Bytes().start(3, 0, 100), 0, "byte 16, number of keys", "at most 0", "found 100");
    refused(new Bytes().start(3, 0, 1).u64(TWO_TO_63), 64, "byte 24, length of a key");
    refused(new Bytes().start(3, 0, 1).text("k").u32(13), 64, "type of key \"k\"", "found 13");
    refused(
        new Bytes().start(3, 0, 1).text("k").u32(8).u64(1 << 20),
        64,
        "length of key \"k\"",
        "rest of the file");
    refused(
        new Bytes().start(3, 0, 1).text("k").u32(9).u32(9).u64(1),
        64,
        "key \"k\"",
        "an array of arrays");
    refused(
        new Bytes().start(3, 0, 1).text("k").u32(9).u32(0).u64(TWO_TO_63),
        64,
        "length of key \"k\"");
    refused(
        new Bytes().start(3, 0, 1).text("k").u32(9).u32(8).u64(99),
        64,
        "length of key \"k\"",
        "rest of the file",
        "found 99");
    refused(
        new Bytes().start(3, 0, 1).text("k").u32(7).u32(2), 64, "key \"k\"", "0 or 1", "found 2");
    refused(
        new Bytes().start(3, 0, 2).text("k").u32(4).u32(0).text("k").u32(4).u32(0),
        64,
        "key \"k\"",
        "each key once");
    refused(
        new Bytes().start(3, 0, 1).text("general.alignment").u32(4).u32(24),
        64,
        "general.alignment",
        "power of two",
        "24");
    refused(
        new Bytes().start(3, 0, 1).text("general.alignment").u32(4).u32(0),
        64,
        "general.alignment",
        "found 0");
  }

  @Test
  void liesAboutTensorsAreNamed() {
    refused(
        new Bytes().start(3, 1, 0).tensor("t", 0, 0, 1, 1, 1, 1, 1),
        64,
        "axes of tensor \"t\"",
        "found 5");
    refused(
        new Bytes().start(3, 1, 0).tensor("t", 16, 0, 256),
        64,
        "type of tensor \"t\"",
        "Q4_0",
        "ggml's type IQ2_XXS (take the model in one of these)");
    refused(
        new Bytes().start(3, 1, 0).tensor("t", 77, 0, 256),
        64,
        "type of tensor \"t\"",
        "ggml's type number 77");
    refused(new Bytes().start(3, 1, 0).tensor("t", 0, 0, 0), 64, "shape of tensor \"t\"", "F32[0]");
    refused(
        new Bytes().start(3, 1, 0).tensor("t", 0, 0, 1L << 32, 1L << 32),
        64,
        "shape of tensor \"t\"");
    refused(new Bytes().start(3, 1, 0).tensor("t", 0, 0, TWO_TO_63), 64, "shape of tensor \"t\"");
    refused(
        new Bytes().start(3, 1, 0).tensor("t", 2, 0, 16, 2),
        64,
        "shape of tensor \"t\"",
        "whole blocks of 32",
        "Q4_0[2, 16]");
    refused(
        new Bytes().start(3, 1, 0).tensor("t", 0, 16, 4),
        64,
        "offset of tensor \"t\"",
        "multiple of the alignment 32",
        "16");
    refused(new Bytes().start(3, 1, 0).tensor("t", 0, TWO_TO_63, 4), 64, "offset of tensor \"t\"");
    refused(
        new Bytes().start(3, 1, 0).tensor("t", 0, 1L << 62, 4),
        64,
        "tensor \"t\"",
        "64 bytes of data",
        "is it complete?");
    refused(
        new Bytes().start(3, 1, 0).tensor("t", 0, 32, 9),
        64,
        "tensor \"t\"",
        "36 bytes from 32",
        "is it complete?");
    refused(
        new Bytes().start(3, 2, 0).tensor("t", 0, 0, 4).tensor("t", 0, 32, 4),
        64,
        "tensor \"t\"",
        "each tensor once");
    refused(
        new Bytes().start(3, 2, 0).tensor("b", 0, 32, 4).tensor("a", 0, 0, 9),
        64,
        "tensor \"b\"",
        "to begin after \"a\"");
  }

  @Test
  void namesWithControlCharactersCannotBreakTheLine() {
    assertThatThrownBy(
            () ->
                GgufHeader.read(
                    Path.of("bad.gguf"),
                    MemorySegment.ofArray(
                        new Bytes().start(3, 1, 0).tensor("a\n\u001b[2Jb", 99, 0, 4).bytes(64))))
        .isInstanceOf(InputException.class)
        .message()
        .doesNotContainPattern("\\p{Cntrl}");
  }

  @Test
  void whatIsNoFileOrNotOursIsSaid() throws IOException {
    Path none = dir.resolve("none.gguf");
    assertThatThrownBy(() -> GgufFile.open(none))
        .isInstanceOf(StorageException.class)
        .hasMessageContaining("none.gguf");
    Path empty = Files.createFile(dir.resolve("empty.gguf"));
    assertThatThrownBy(() -> GgufFile.open(empty))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("found 0 bytes");
    write(dir.resolve("a.gguf"), Map.of());
    try (GgufFile file = GgufFile.open(dir.resolve("a.gguf"))) {
      assertThatThrownBy(() -> file.entry("x"))
          .isInstanceOf(InputException.class)
          .hasMessageContaining("no tensor \"x\"");
    }
  }

  @Test
  void writerKeepsToWhatWasDeclared() {
    Path file = dir.resolve("a.gguf");
    assertThatThrownBy(() -> tensor("t", GgmlType.Q8_0, 2, 31))
        .isInstanceOf(IllegalArgumentException.class);
    List<Declared> two = List.of(tensor("t", GgmlType.F32, 2), tensor("t", GgmlType.F32, 2));
    assertThatThrownBy(() -> new GgufWriter(file, Map.of(), two, bytes -> {}))
        .hasMessageContaining("t is taken");
    try (GgufWriter writer =
        new GgufWriter(file, Map.of(), List.of(tensor("t", GgmlType.F32, 2)), bytes -> {})) {
      MemorySegment nine = MemorySegment.ofArray(new byte[9]);
      assertThatThrownBy(() -> writer.write("t", nine))
          .hasMessageContaining("declared t, of which 8 bytes are missing");
      writer.write("t", nine.asSlice(0, 4));
      assertThatThrownBy(writer::commit)
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("t was declared");
    }
    try (GgufWriter writer =
        new GgufWriter(file, Map.of(), List.of(tensor("t", GgmlType.F32, 2)), bytes -> {})) {
      assertThatThrownBy(writer::commit).isInstanceOf(IllegalStateException.class);
    }
    assertThat(dir).isEmptyDirectory();
  }
}
