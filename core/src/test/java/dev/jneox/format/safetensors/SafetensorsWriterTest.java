package dev.jneox.format.safetensors;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.format.safetensors.SafetensorsWriter.Declared;
import dev.jneox.io.StorageException;
import dev.jneox.weights.Dtype;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SafetensorsWriterTest {
  @TempDir Path dir;

  private static final List<Declared> TWO =
      List.of(new Declared("a", Dtype.F32, List.of(2L)), new Declared("b", Dtype.U8, List.of(3L)));

  private static MemorySegment bytes(int n) {
    return MemorySegment.ofArray(new byte[n]);
  }

  @Test
  void withoutACommitTheOldFileStaysAndNothingElse() throws IOException {
    Path file = Files.writeString(dir.resolve("m.safetensors"), "old");
    try (SafetensorsWriter writer = new SafetensorsWriter(file, TWO, Map.of())) {
      writer.write("a", bytes(8));
    }
    assertThat(file).hasContent("old");
    assertThat(dir)
        .isDirectoryContaining(f -> f.equals(file))
        .isDirectoryNotContaining(f -> !f.equals(file));
  }

  @Test
  void aTensorMayComeInParts() throws IOException {
    byte[] a = {1, 2, 3, 4, 5, 6, 7, 8};
    byte[] b = {9, 10, 11};
    Path whole = dir.resolve("whole.safetensors");
    Path parts = dir.resolve("parts.safetensors");
    try (SafetensorsWriter writer = new SafetensorsWriter(whole, TWO, Map.of())) {
      writer.write("a", MemorySegment.ofArray(a));
      writer.write("b", MemorySegment.ofArray(b));
      writer.commit();
    }
    try (SafetensorsWriter writer = new SafetensorsWriter(parts, TWO, Map.of())) {
      writer.write("a", MemorySegment.ofArray(a).asSlice(0, 5));
      writer.write("a", MemorySegment.ofArray(a).asSlice(5, 3));
      writer.write("b", MemorySegment.ofArray(b));
      writer.commit();
    }
    assertThat(parts).hasSameBinaryContentAs(whole);
  }

  @Test
  void onlyWhatWasDeclaredIsWritten() {
    Path file = dir.resolve("m.safetensors");
    try (SafetensorsWriter writer = new SafetensorsWriter(file, TWO, Map.of())) {
      assertThatThrownBy(() -> writer.write("b", bytes(3)))
          .isInstanceOf(IllegalArgumentException.class);
    }
    try (SafetensorsWriter writer = new SafetensorsWriter(file, TWO, Map.of())) {
      assertThatThrownBy(() -> writer.write("a", bytes(9)))
          .isInstanceOf(IllegalArgumentException.class);
    }
    try (SafetensorsWriter writer = new SafetensorsWriter(file, TWO, Map.of())) {
      writer.write("a", bytes(7));
      assertThatThrownBy(() -> writer.write("b", bytes(3)))
          .isInstanceOf(IllegalArgumentException.class);
      assertThatThrownBy(writer::commit)
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("a was declared");
    }
    try (SafetensorsWriter writer = new SafetensorsWriter(file, TWO, Map.of())) {
      writer.write("a", bytes(8));
      assertThatThrownBy(writer::commit)
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("b was declared");
    }
    assertThat(file).doesNotExist();
  }

  @Test
  void declarationsThatCannotBeReadBackAreRefused() {
    Path file = dir.resolve("m.safetensors");
    List<List<Declared>> bad =
        List.of(
            List.of(TWO.get(0), TWO.get(0)),
            List.of(new Declared("__metadata__", Dtype.U8, List.of())),
            List.of(new Declared("odd", Dtype.U8, List.of(3L)), TWO.get(0)));
    for (List<Declared> tensors : bad) {
      assertThatThrownBy(() -> new SafetensorsWriter(file, tensors, Map.of()))
          .isInstanceOf(IllegalArgumentException.class);
    }
    for (List<Long> shape : List.of(List.of(3L), List.of(-2L, -2L), List.of(1L << 32, 1L << 32))) {
      assertThatThrownBy(() -> new Declared("a", Dtype.F4, shape))
          .isInstanceOf(IllegalArgumentException.class);
    }
    assertThat(dir).isEmptyDirectory();
  }

  @Test
  void aPlaceThatCannotBeWrittenIsNamed() throws IOException {
    Path taken = Files.writeString(dir.resolve("file"), "x");
    Path file = taken.resolve("m.safetensors");
    assertThatThrownBy(() -> new SafetensorsWriter(file, TWO, Map.of()))
        .isInstanceOf(StorageException.class)
        .hasMessageStartingWith(file + ": cannot be written: ");
  }

  @Test
  void tensorsLargerThanOneWriteArriveWhole() {
    long n = (16 << 20) + 5;
    Path file = dir.resolve("m.safetensors");
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment big = arena.allocate(n);
      for (long at = 0; at < n; at += 4099) {
        big.set(ValueLayout.JAVA_BYTE, at, (byte) (at % 251));
      }
      try (SafetensorsWriter writer =
          new SafetensorsWriter(
              file, List.of(new Declared("big", Dtype.U8, List.of(n))), Map.of())) {
        writer.write("big", big);
        writer.commit();
      }
      try (Safetensors read = Safetensors.open(file)) {
        assertThat(read.data("big").orElseThrow().mismatch(big)).isEqualTo(-1);
      }
    }
  }
}
