package dev.jneox.format.safetensors;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.format.hf.HfFolderTest;
import dev.jneox.format.safetensors.Safetensors.Entry;
import dev.jneox.format.safetensors.SafetensorsWriter.Declared;
import dev.jneox.io.InputException;
import dev.jneox.io.StorageException;
import dev.jneox.weights.Dtype;
import dev.jneox.weights.MappedTensor;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class SafetensorsTest {
  @TempDir Path dir;

  /** The bytes of a file with this header and as many bytes of data, counting up. */
  static byte[] bytes(String header, int dataBytes) {
    byte[] json = header.getBytes(StandardCharsets.UTF_8);
    ByteBuffer file =
        ByteBuffer.allocate(8 + json.length + dataBytes).order(ByteOrder.LITTLE_ENDIAN);
    file.putLong(json.length).put(json);
    for (int i = 0; i < dataBytes; i++) {
      file.put((byte) i);
    }
    return file.array();
  }

  private Path file(byte[] bytes) throws IOException {
    return Files.write(dir.resolve("x.safetensors"), bytes);
  }

  private Path file(String header, int dataBytes) throws IOException {
    return file(bytes(header, dataBytes));
  }

  @Test
  void fixtureIsReadAsTheReferenceWroteIt() {
    try (Safetensors file =
        Safetensors.open(HfFolderTest.parity("neox-parallel/expected.safetensors"))) {
      assertThat(file.entry("input_ids"))
          .isEqualTo(new Entry("input_ids", Dtype.I64, List.of(2L, 41L), 328, 984));
      assertThat(file.entries())
          .extracting(Entry::name)
          .contains("logits", "hidden.3", "attention.2")
          .hasSize(11);
      assertThat(file.shape("input_ids")).containsExactly(2, 41);
      long[] ids = file.data("input_ids").orElseThrow().toArray(ValueLayout.JAVA_LONG_UNALIGNED);
      assertThat(ids).hasSize(2 * 41);
      assertThat(Arrays.stream(ids)).allMatch(id -> id >= 0 && id < 512);
      float[] logprobs =
          new MappedTensor(Dtype.F32, file.data("token_logprobs").orElseThrow()).floats();
      assertThat(logprobs).hasSize(2 * 40);
      for (float p : logprobs) {
        assertThat(p).isNegative();
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"neox-parallel", "neox-20b-like", "neox-serial-tied"})
  void rewritingAFileOfTheReferenceLibraryGivesTheSameBytes(String name) throws IOException {
    Path source = HfFolderTest.parity(name).resolve("model.safetensors");
    Path copy = dir.resolve("copy.safetensors");
    try (Safetensors file = Safetensors.open(source)) {
      List<Declared> declared =
          file.entries().stream().map(e -> new Declared(e.name(), e.dtype(), e.shape())).toList();
      try (SafetensorsWriter writer = new SafetensorsWriter(copy, declared, file.metadata())) {
        declared.forEach(d -> writer.write(d.name(), file.data(d.name()).orElseThrow()));
        writer.commit();
      }
    }
    assertThat(Files.mismatch(source, copy)).isEqualTo(-1);
  }

  @Test
  void scalarsAndEmptyTensorsAreTensors() throws IOException {
    String header =
        "{\"one\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]},"
            + "\"none\":{\"dtype\":\"F32\",\"shape\":[3,0,2],\"data_offsets\":[1,1]}}";
    try (Safetensors file = Safetensors.open(file(header, 1))) {
      assertThat(file.shape("one")).isEmpty();
      assertThat(file.data("one").orElseThrow().toArray(ValueLayout.JAVA_BYTE)).containsExactly(0);
      assertThat(file.shape("none")).containsExactly(3, 0, 2);
      assertThat(file.data("none").orElseThrow().byteSize()).isZero();
    }
  }

  @Test
  void tensorsOutOfLineWithTheirElementSizeAreRead() throws IOException {
    String header =
        "{\"b\":{\"dtype\":\"BOOL\",\"shape\":[1],\"data_offsets\":[0,1]},"
            + "\"i\":{\"dtype\":\"I32\",\"shape\":[2],\"data_offsets\":[1,9]}}";
    // A header length with remainder 1, 5 or 3 by 8 makes the offset of "i" odd or even; neither is
    // a multiple of four.
    for (String pad : List.of("", " ", "  ")) {
      try (Safetensors file = Safetensors.open(file(header + pad, 9))) {
        assertThat(file.data("i").orElseThrow().toArray(ValueLayout.JAVA_INT_UNALIGNED))
            .containsExactly(0x04030201, 0x08070605);
      }
    }
  }

  @Test
  void dataMayLieInAnotherOrderThanTheHeaderAndUnknownKeysAreLeftAlone() throws IOException {
    String header =
        "{\"b\":{\"note\":{\"deep\":[1,{}]},\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[3,5]},\"a\":{\"data_offsets\":[0,3],\"shape\":[3],\"dtype\":\"U8\"},\"__metadata__\":{\"k\":\"v\"}}"
            + "  \n";
    try (Safetensors file = Safetensors.open(file(header, 5))) {
      assertThat(file.entries()).extracting(Entry::name).containsExactly("b", "a");
      assertThat(file.data("b").orElseThrow().toArray(ValueLayout.JAVA_BYTE)).containsExactly(3, 4);
      assertThat(file.metadata()).isEqualTo(Map.of("k", "v"));
    }
  }

  @Test
  void packedTypesCountBits() throws IOException {
    try (Safetensors file =
        Safetensors.open(
            file("{\"a\":{\"dtype\":\"F6_E2M3\",\"shape\":[4],\"data_offsets\":[0,3]}}", 3))) {
      assertThat(file.entry("a").bytes()).isEqualTo(3);
      assertThatThrownBy(
              () -> new MappedTensor(file.dtype("a"), file.data("a").orElseThrow()).floats())
          .hasMessage("F6_E2M3 is not a type of weights");
    }
    Path odd = file("{\"a\":{\"dtype\":\"F4\",\"shape\":[3],\"data_offsets\":[0,1]}}", 1);
    assertThatThrownBy(() -> Safetensors.open(odd))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("a whole number of bytes");
  }

  /**
   * Each line: what the header says (quotes are written as apostrophes), bytes of data, what the
   * message must name.
   */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "{'a':{'dtype':'F32','shape':[2],'data_offsets':[0,4]}}|4|\"a\", data_offsets: expected 8"
            + " bytes for F32[2], found [0, 4]",
        "{'a':{'dtype':'F32','shape':[2],'data_offsets':[8,0]}}|8|found [8, 0]",
        "{'a':{'dtype':'F32','shape':[2],'data_offsets':[0,8]}}|7|7 bytes of data in the file (is"
            + " it complete?), found 0 to 8",
        "{'a':{'dtype':'F32','shape':[2],'data_offsets':[0,8]}}|9|data: expected 8 bytes, the end"
            + " of the last tensor, found 9",
        "{'a':{'dtype':'U8','shape':[2],'data_offsets':[1,3]}}|3|to begin at 0 (it leaves a hole),"
            + " found 1 to 3",
        "{'a':{'dtype':'U8','shape':[2],'data_offsets':[0,2]},'b':{'dtype':'U8','shape':[2],'data_offsets':[1,3]}}|3|it"
            + " overlaps",
        "{'a':{'dtype':'U8','shape':[2],'data_offsets':[0,2]},'b':{'dtype':'U8','shape':[2],'data_offsets':[0,2]}}|2|it"
            + " overlaps",
        "{'a':{'dtype':'U8','shape':[9223372036854775807],'data_offsets':[0,9223372036854775807]}}|1|that"
            + " fits in a file",
        "{'a':{'dtype':'U8','shape':[1152921504606846975],'data_offsets':[0,1152921504606846975]}}|1|within"
            + " the 1 bytes",
        "{'a':{'dtype':'U8','shape':[4294967296,4294967296],'data_offsets':[0,0]}}|0|that fits in a"
            + " file",
        "{'a':{'dtype':'U8','shape':[9223372036854775808],'data_offsets':[0,1]}}|1|found"
            + " 9223372036854775808",
        "{'a':{'dtype':'U8','shape':[1],'data_offsets':[18446744073709551615,0]}}|1|found"
            + " 18446744073709551615",
        "{'a':{'dtype':'U8','shape':[-1],'data_offsets':[0,1]}}|1|tensor \"a\", shape: expected"
            + " integers from 0",
        "{'a':{'dtype':'U8','shape':[1.0],'data_offsets':[0,1]}}|1|found 1.0",
        "{'a':{'dtype':'U8','shape':['1'],'data_offsets':[0,1]}}|1|found \"1\"",
        "{'a':{'dtype':'U8','shape':1,'data_offsets':[0,1]}}|1|an array of integers, found 1",
        "{'a':{'dtype':'U8','shape':[1],'data_offsets':[0]}}|1|two numbers, found [0]",
        "{'a':{'dtype':'U8','shape':[1],'data_offsets':[0,1,2]}}|1|at most 2 numbers",
        "{'a':{'dtype':'F31','shape':[1],'data_offsets':[0,1]}}|1|tensor \"a\", dtype: expected one"
            + " of [BOOL",
        "{'a':{'dtype':7,'shape':[1],'data_offsets':[0,1]}}|1|found 7",
        "{'a':{'shape':[1],'data_offsets':[0,1]}}|1|found no dtype",
        "{'a':{'dtype':'U8','data_offsets':[0,1]}}|1|found no shape",
        "{'a':{'dtype':'U8','shape':[1]}}|1|found no data_offsets",
        "{'a':{'dtype':'U8','shape':[1],'shape':[1],'data_offsets':[0,1]}}|1|Duplicate",
        "{'a':{'dtype':'U8','shape':[0],'data_offsets':[0,0]},'a':{'dtype':'U8','shape':[0],'data_offsets':[0,0]}}|0|Duplicate",
        "{'a':[]}|0|tensor \"a\": expected an object, found an array",
        "{'a':null}|0|found null",
        "{'__metadata__':{'a':1}}|0|__metadata__ \"a\": expected a string, found 1",
        "{'__metadata__':'a'}|0|__metadata__: expected an object of strings",
        "{} {}|0|nothing but spaces after the JSON object",
        "{}|1|data: expected 0 bytes",
        "{'a':|0|not valid JSON",
        "[]|0|byte 8, header: expected {, found 0x5b",
        "' {}'|0|byte 8, header: expected {",
      })
  void aHeaderThatLiesIsNamed(String header, int dataBytes, String named) throws IOException {
    Path file = file(header.replace('\'', '"'), dataBytes);
    assertThatThrownBy(() -> Safetensors.open(file))
        .isInstanceOf(InputException.class)
        .hasMessageStartingWith(file.toString() + ": ")
        .hasMessageContaining(named)
        .message()
        .hasLineCount(1);
  }

  @ParameterizedTest
  @ValueSource(longs = {-1, Long.MIN_VALUE, Long.MAX_VALUE, 0, 1, 3, 99_999_999, 100_000_001})
  void aHeaderLengthThatLiesIsNamed(long length) throws IOException {
    byte[] bytes = bytes("{}", 0);
    ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).putLong(length);
    Path file = file(bytes);
    assertThatThrownBy(() -> Safetensors.open(file))
        .isInstanceOfSatisfying(
            InputException.class,
            e -> {
              assertThat(e.file()).contains(file);
              assertThat(e.place()).contains("byte 0, header length");
              assertThat(e.expected()).contains("2 to 2 in a file of 10 bytes");
              assertThat(e.found()).contains(Long.toUnsignedString(length));
            })
        .hasMessage(
            file
                + ": byte 0, header length: expected 2 to 2 in a file of 10 bytes, found "
                + Long.toUnsignedString(length));
  }

  @Test
  void aGitLfsPointerIsRecognised() throws IOException {
    Path file =
        file(
            "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"
                .getBytes(StandardCharsets.US_ASCII));
    assertThatThrownBy(() -> Safetensors.open(file)).hasMessageContaining("git lfs pull");
  }

  @Test
  void deepJsonIsRefused() throws IOException {
    Path file = file("{\"a\":{\"x\":" + "[".repeat(100_000) + "]".repeat(100_000) + "}}", 0);
    assertThatThrownBy(() -> Safetensors.open(file))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("nesting depth");
  }

  @Test
  void endlessShapesNumbersAndNamesAreRefused() throws IOException {
    String entry = "{\"%s\":{\"dtype\":\"U8\",\"shape\":[%s],\"data_offsets\":[0,1]}}";
    for (String header :
        List.of(
            String.format(entry, "a", "1" + ",1".repeat(1_000_000)),
            String.format(entry, "a", "1".repeat(1_000_000)),
            String.format(entry, "n".repeat(1_000_000), "1"))) {
      Path file = file(header, 1);
      assertThatThrownBy(() -> Safetensors.open(file))
          .isInstanceOf(InputException.class)
          .message()
          .satisfies(message -> assertThat(message.length()).isLessThan(2000));
    }
  }

  @Test
  void namesCannotBreakTheLineOrReachTheTerminal() throws IOException {
    Path file = file("{\"a\\n\\u001b[31m\\u2028\":7}", 0);
    assertThatThrownBy(() -> Safetensors.open(file))
        .hasMessage(file + ": tensor \"a \\u001b[31m \": expected an object, found 7");
  }

  @Test
  void somethingThatIsNoFileIsNamed() throws IOException {
    Path folder = Files.createDirectory(dir.resolve("folder"));
    for (Path path : List.of(dir.resolve("absent"), folder)) {
      assertThatThrownBy(() -> Safetensors.open(path))
          .isInstanceOf(StorageException.class)
          .hasMessageStartingWith(path.toString() + ": cannot be read: ");
    }
  }

  @Test
  void aMissingTensorIsNamedAndAClosedFileRefuses() throws IOException {
    Path path = file("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1);
    Safetensors file = Safetensors.open(path);
    assertThatThrownBy(() -> file.data("b"))
        .isInstanceOfSatisfying(
            InputException.class,
            e ->
                assertThat(List.of(e.file(), e.place(), e.expected(), e.found()))
                    .allMatch(Optional::isEmpty))
        .hasMessage(path + ": has no tensor \"b\"");
    MemorySegment data = file.data("a").orElseThrow();
    file.close();
    file.close();
    assertThatThrownBy(() -> file.data("a")).isInstanceOf(IllegalStateException.class);
    assertThatThrownBy(() -> data.get(ValueLayout.JAVA_BYTE, 0))
        .isInstanceOf(IllegalStateException.class);
  }
}
