package dev.jneox.format.torch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.format.torch.TorchFileWriter.Declared;
import dev.jneox.io.InputException;
import dev.jneox.io.StorageException;
import dev.jneox.weights.Dtype;
import dev.jneox.weights.MappedTensor;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Files that PyTorch 2.13 wrote, and ours. */
class TorchFileTest {
  private static final Path FILES = Path.of("src/test/resources/torch");

  @TempDir Path dir;

  private static MemorySegment read(TorchFile file, String name) {
    return file.read(name, Arena.ofAuto());
  }

  private static float[] values(TorchFile file, String name) {
    return new MappedTensor(file.dtype(name), read(file, name)).floats();
  }

  private static long[] longs(TorchFile file, String name) {
    return read(file, name).toArray(ValueLayout.JAVA_LONG_UNALIGNED);
  }

  @ParameterizedTest
  @ValueSource(strings = {"kinds.pt", "kinds-legacy.pt"})
  void everyKindOfTensorOfBothFormats(String name) {
    try (TorchFile file = TorchFile.open(FILES.resolve(name))) {
      assertThat(file.names())
          .containsExactly(
              "f32",
              "f16",
              "bf16",
              "f64",
              "i64",
              "u8",
              "bool",
              "scalar",
              "empty",
              "transposed",
              "columns",
              "tail",
              "parameter");
      assertThat(values(file, "f32")).hasSize(24).startsWith(0, 1, 2, 3).endsWith(22, 23);
      assertThat(file.dtype("f16")).isEqualTo(Dtype.F16);
      assertThat(values(file, "f16")).containsExactly(1.5f, -2, 0.25f, 65504);
      assertThat(file.dtype("bf16")).isEqualTo(Dtype.BF16);
      assertThat(values(file, "bf16")).startsWith(1, -3.5f);
      assertThat(values(file, "f64")).containsExactly(1 / 3f);
      assertThat(longs(file, "i64")).containsExactly(-1, 1L << 40);
      assertThat(file.dtype("u8")).isEqualTo(Dtype.U8);
      assertThat(read(file, "u8").toArray(ValueLayout.JAVA_BYTE)).containsExactly(0, (byte) 255);
      assertThat(file.dtype("bool")).isEqualTo(Dtype.BOOL);
      assertThat(read(file, "bool").toArray(ValueLayout.JAVA_BYTE)).containsExactly(1, 0, 1);
      assertThat(file.shape("scalar")).isEmpty();
      assertThat(values(file, "scalar")).containsExactly(7.5f);
      assertThat(file.shape("empty")).containsExactly(0, 3);
      assertThat(read(file, "empty").byteSize()).isZero();
      assertThat(values(file, "parameter")).containsExactly(4, 5);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"kinds.pt", "kinds-legacy.pt"})
  void viewsOfASharedStorageComeRowByRow(String name) {
    try (TorchFile file = TorchFile.open(FILES.resolve(name))) {
      assertThat(file.shape("transposed")).containsExactly(6, 4);
      assertThat(values(file, "transposed")).startsWith(0, 6, 12, 18, 1, 7, 13, 19);
      assertThat(file.shape("columns")).containsExactly(4, 2);
      assertThat(values(file, "columns")).containsExactly(1, 2, 7, 8, 13, 14, 19, 20);
      assertThat(values(file, "tail"))
          .containsExactly(12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23);
      assertThat(values(file, "transposed")).hasSize(24).endsWith(5, 11, 17, 23);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"protocol3.pt", "protocol4.pt", "protocol5.pt"})
  void laterProtocols(String name) {
    try (TorchFile file = TorchFile.open(FILES.resolve(name))) {
      assertThat(file.names()).containsExactly("w", "nested.v");
      assertThat(values(file, "w")).containsExactly(1, 2);
      assertThat(file.dtype("nested.v")).isEqualTo(Dtype.I32);
      assertThat(read(file, "nested.v").toArray(ValueLayout.JAVA_INT_UNALIGNED)).containsExactly(3);
    }
  }

  @Test
  void theStateDictionaryAmongOtherValues() {
    try (TorchFile file = TorchFile.open(FILES.resolve("wrapped.pt"))) {
      assertThat(file.names()).containsExactly("weight");
      assertThat(values(file, "weight")).containsExactly(0.5f, 0.5f);
    }
  }

  @Test
  void aFunctionToCallIsRefusedByNameAndNotCalled() {
    assertThatThrownBy(() -> TorchFile.open(FILES.resolve("evil.pt")))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("evil.pt: data.pkl, byte ")
        .hasMessageContaining("found the global \"posix.system\" (for \"evil\")");
    assertThat(Path.of("/tmp/jneox-owned")).doesNotExist();
  }

  @Test
  void argumentsAndRandomStatesAreRefusedOrSteppedOver() {
    Path path = FILES.resolve("training-state.pt");
    assertThatThrownBy(() -> TorchFile.open(path))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("\"argparse.Namespace\"");
    try (TorchFile file = TorchFile.openTensorsOf(path)) {
      assertThat(file.names()).containsExactly("w");
    }
  }

  private static Map<String, Object> someTensors() {
    Map<String, Object> root = new LinkedHashMap<>();
    root.put("a", new Declared(Dtype.F32, List.of(2L, 3L)));
    root.put("step", 100_000L);
    root.put("large", 1L << 40);
    root.put("rate", 0.5);
    root.put("on", true);
    root.put("none", null);
    root.put("names", List.of("x", "y"));
    root.put("inner", Map.of("b", new Declared(Dtype.BF16, List.of(0L)), "text", "ä"));
    root.put("c", new Declared(Dtype.I64, List.of()));
    return root;
  }

  private Path written(long large) {
    Path path = dir.resolve("some.pt");
    try (TorchFileWriter writer = new TorchFileWriter(path, someTensors(), large)) {
      writer.write(Arena.ofAuto().allocateFrom(ValueLayout.JAVA_FLOAT, 1, 2, 3, 4, 5, 6));
      writer.write(MemorySegment.ofArray(new byte[0]));
      writer.write(Arena.ofAuto().allocateFrom(ValueLayout.JAVA_LONG, -9));
      writer.commit();
    }
    return path;
  }

  @ParameterizedTest
  @ValueSource(longs = {Long.MAX_VALUE, 0})
  void whatIsWrittenIsReadInBothSizesOfZip(long large) throws IOException {
    Path path = written(large);
    try (TorchFile file = TorchFile.open(path)) {
      assertThat(file.names()).containsExactly("a", "inner.b", "c");
      assertThat(file.shape("a")).containsExactly(2, 3);
      assertThat(values(file, "a")).containsExactly(1, 2, 3, 4, 5, 6);
      assertThat(file.dtype("inner.b")).isEqualTo(Dtype.BF16);
      assertThat(longs(file, "c")).containsExactly(-9);
    }
    try (java.util.zip.ZipFile zip = new java.util.zip.ZipFile(path.toFile())) {
      assertThat(zip.stream().map(ZipEntry::getName))
          .containsExactly(
              "some/data.pkl",
              "some/byteorder",
              "some/data/0",
              "some/data/1",
              "some/data/2",
              "some/version");
      byte[] version = zip.getInputStream(zip.getEntry("some/version")).readAllBytes();
      assertThat(version).asString(StandardCharsets.US_ASCII).isEqualTo("3\n");
    }
  }

  @Test
  void withoutACommitNothingIsThere() throws IOException {
    Path path = dir.resolve("gone.pt");
    try (TorchFileWriter writer = new TorchFileWriter(path, someTensors())) {
      writer.write(MemorySegment.ofArray(new byte[24]));
      assertThatThrownBy(writer::commit).isInstanceOf(IllegalStateException.class);
    }
    try (var files = Files.list(dir)) {
      assertThat(files).isEmpty();
    }
  }

  @Test
  void tensorsAreAlignedViewsOfTheFile() {
    try (TorchFile file = TorchFile.open(written(Long.MAX_VALUE))) {
      MemorySegment once = read(file, "a");
      assertThat(once.isMapped()).isTrue();
      assertThat(once.address()).isEqualTo(read(file, "a").address());
      assertThat(file.data("a").orElseThrow().address()).isEqualTo(once.address());
      assertThat(once.address() % 64).isZero();
    }
  }

  @Test
  void whatIsNoSuchFileIsNamed() throws IOException {
    Path path = dir.resolve("pytorch_model.bin");
    Files.writeString(path, "version https://git-lfs.github.com/spec/v1\n");
    assertThatThrownBy(() -> TorchFile.open(path))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("git lfs pull");
    Files.write(path, new byte[0]);
    assertThatThrownBy(() -> TorchFile.open(path))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("found 0 bytes");
    Path none = dir.resolve("no.pt");
    assertThatThrownBy(() -> TorchFile.open(none))
        .isInstanceOf(StorageException.class)
        .hasMessageContaining("no.pt");
  }

  @Test
  void aCompressedEntryIsRefused() throws IOException {
    Path path = dir.resolve("bomb.pt");
    try (ZipOutputStream zip = new ZipOutputStream(Files.newOutputStream(path))) {
      zip.putNextEntry(new ZipEntry("x/data.pkl"));
      byte[] zeros = new byte[1 << 20];
      Arrays.fill(zeros, (byte) ']');
      for (int i = 0; i < 32; i++) {
        zip.write(zeros);
      }
    }
    assertThat(Files.size(path)).isLessThan(100_000);
    assertThatThrownBy(() -> TorchFile.open(path))
        .isInstanceOf(InputException.class)
        .hasMessageContaining(
            "entry \"x/data.pkl\": expected stored as it is, found compressed by method 8");
  }

  @Test
  void bigEndianIsRefused() throws IOException {
    byte[] bytes = Files.readAllBytes(FILES.resolve("kinds.pt"));
    String text = new String(bytes, StandardCharsets.ISO_8859_1);
    Path path = dir.resolve("big.pt");
    Files.write(path, text.replace("little", "largee").getBytes(StandardCharsets.ISO_8859_1));
    assertThatThrownBy(() -> TorchFile.open(path))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("byteorder: expected little, found \"largee\"");
  }
}
