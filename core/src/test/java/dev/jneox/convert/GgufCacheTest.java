package dev.jneox.convert;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jneox.format.ModelFiles;
import dev.jneox.format.gguf.GgufExport;
import dev.jneox.io.Progress;
import dev.jneox.kernel.PackedWeight;
import dev.jneox.kernel.Q4Weight;
import dev.jneox.kernel.Q8Weight;
import dev.jneox.model.ModelSpec;
import dev.jneox.model.ParamId;
import dev.jneox.model.Part;
import dev.jneox.weights.CanonicalNames;
import dev.jneox.weights.GgmlType;
import dev.jneox.weights.QuantisedMatrix;
import dev.jneox.weights.RandomWeights;
import dev.jneox.weights.StoredModel;
import dev.jneox.weights.TensorExpression;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileTime;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class GgufCacheTest {
  private static final ModelSpec SPEC = ModelSpec.neox(96, 64, 2, 4, 32);

  @TempDir Path dir;
  private int made;

  private Path gguf(GgmlType type, long seed) {
    Path file = dir.resolve("model.gguf");
    new GgufExport(file, SPEC, type, null, Map.of())
        .write(new RandomWeights(SPEC, seed), bytes -> {});
    return file;
  }

  private StoredModel make(Path file) {
    return GgufCache.make(
        file,
        bytes -> {
          made++;
          return Progress.silent();
        });
  }

  private static MemorySegment data(PackedWeight weight) {
    return weight instanceof Q4Weight q4 ? q4.data() : ((Q8Weight) weight).data();
  }

  @ParameterizedTest
  @EnumSource(GgmlType.class)
  void holdsWhatLoadingMakes(GgmlType type) {
    if (!type.isWritable()) {
      return;
    }
    Path file = gguf(type, 1);
    assertThat(GgufCache.open(file)).isEmpty();
    try (StoredModel kept = make(file);
        StoredModel model = ModelFiles.open(file);
        Arena arena = Arena.ofShared()) {
      assertThat(kept.path()).isEqualTo(dir.resolve("model.gguf.jneox"));
      assertThat(kept.spec()).isEqualTo(model.spec());
      for (TensorExpression tensor : CanonicalNames.of(SPEC)) {
        Optional<QuantisedMatrix> stored = model.quantised(tensor);
        assertThat(kept.quantised(tensor).isPresent()).isEqualTo(stored.isPresent());
        if (stored.isPresent() && tensor.first().part() != Part.EMBEDDING) {
          QuantisedMatrix matrix = kept.quantised(tensor).orElseThrow();
          assertThat(matrix.inPlace()).isTrue();
          assertThat(data(matrix.weight(arena)).mismatch(data(stored.get().weight(arena))))
              .isEqualTo(-1);
        }
      }
    }
  }

  @Test
  void isMadeOnceAndAnewWhenTheFileChanges() throws IOException {
    Path file = gguf(GgmlType.Q4_0, 1);
    make(file).close();
    make(file).close();
    assertThat(made).isEqualTo(1);
    FileTime time = Files.getLastModifiedTime(file);
    Files.setLastModifiedTime(file, FileTime.fromMillis(time.toMillis() - 5000));
    assertThat(GgufCache.open(file)).as("another time").isEmpty();
    make(file).close();
    assertThat(made).isEqualTo(2);
    gguf(GgmlType.Q4_0, 2);
    Files.setLastModifiedTime(file, FileTime.fromMillis(time.toMillis() - 5000));
    assertThat(GgufCache.open(file)).as("other bytes of the same size and time").isEmpty();
    make(file).close();
    assertThat(made).isEqualTo(3);
  }

  @Test
  void aBrokenOneIsMadeAnew() throws IOException {
    Path file = gguf(GgmlType.Q4_0, 1);
    make(file).close();
    Path weights = GgufCache.beside(file).resolve("model.safetensors");
    Files.write(weights, new byte[100], StandardOpenOption.TRUNCATE_EXISTING);
    assertThat(GgufCache.open(file)).isEmpty();
    make(file).close();
    assertThat(made).isEqualTo(2);
    try (StoredModel kept = GgufCache.open(file).orElseThrow()) {
      assertThat(kept.holder(ParamId.weight(0, Part.ATTENTION_OUT)).type()).isEqualTo("Q4_0");
    }
  }

  @Test
  void isOfNoUseToOtherFiles() {
    assertThat(GgufCache.open(dir)).isEmpty();
    assertThat(GgufCache.open(dir.resolve("none.gguf"))).isEmpty();
  }
}
