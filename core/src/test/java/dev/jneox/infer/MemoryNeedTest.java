package dev.jneox.infer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.convert.Quantisation;
import dev.jneox.convert.SyntheticModel;
import dev.jneox.format.ModelFiles;
import dev.jneox.format.hf.HfFolderWriter;
import dev.jneox.io.MemoryException;
import dev.jneox.kernel.PackedWeight;
import dev.jneox.model.ModelSpec;
import dev.jneox.weights.Dtype;
import dev.jneox.weights.GgmlType;
import dev.jneox.weights.RandomWeights;
import dev.jneox.weights.StoredModel;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.EdgeCasesMode;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class MemoryNeedTest {
  private static final long GB = 1_000_000_000;
  private static final ModelSpec SMALL = ModelSpec.neox(128, 64, 2, 4, 32);
  private static final long READ = 2 * 12 * 64 * 64 + 128 * 64;

  @TempDir Path dir;

  /** GPT-NeoX-20B's shape; nothing of it is made. */
  private static StoredModel large(Dtype dtype) {
    return new SyntheticModel(
        Path.of("20B"), ModelSpec.neox(50432, 6144, 44, 64, 2048), 0.02, 0.02, dtype, 1, null);
  }

  @Test
  void whatLoadingWouldFillBeyondMemoryIsSaidWithWhatFits() {
    MemoryNeed need = MemoryNeed.of(large(Dtype.F16), Precision.STORED);
    assertThat(need.mapped()).isZero();
    assertThat(need.made())
        .as("fp16 becomes fp32")
        .isEqualTo(4L * (44L * 12 * 6144 * 6144 + 50432L * 6144));
    assertThatThrownBy(() -> need.check(24 * GB))
        .isInstanceOfSatisfying(
            MemoryException.class,
            e -> {
              assertThat(e.needed()).hasValue(need.made() + (512L << 20));
              assertThat(e.free()).hasValue(24 * GB);
            })
        .hasMessage(
            "20B: does not fit in memory: its weights take 81.0 GB once loaded, 24.0 GB are free; "
                + "it would fit as q8 (21.8 GB) or q4 (11.6 GB): see jneox quantize");
    assertThatThrownBy(() -> need.check(16 * GB))
        .hasMessageEndingWith("it would fit as q4 (11.6 GB): see jneox quantize");
    assertThatThrownBy(() -> need.check(4 * GB))
        .hasMessageContaining("would fit, of up to 6.2 billion parameters");
    assertThatCode(() -> need.check(100 * GB)).doesNotThrowAnyException();
  }

  @Test
  void aMappedModelLargerThanMemoryRunsAndIsWarnedOf() {
    MemoryNeed need = MemoryNeed.of(large(Dtype.BF16), Precision.STORED);
    assertThat(need.made()).isZero();
    assertThatCode(() -> need.check(2 * GB)).doesNotThrowAnyException();
    assertThat(need.warning(24 * GB).orElseThrow())
        .contains("every token reads 40.5 GB", "from the disk each time", "q8 (21.8 GB)");
    assertThat(need.warning(43 * GB).orElseThrow())
        .contains("keys and values of about 1,831 tokens", "context of 2,048");
    assertThat(need.warning(60 * GB)).isEmpty();
  }

  @ParameterizedTest
  @CsvSource({
    "F32, STORED, 0, 4",
    "BF16, STORED, 0, 2",
    "F16, STORED, 4, 0",
    "BF16, F32, 4, 0",
    "F32, BF16, 2, 0"
  })
  void onlyWhatIsNotStoredAsItIsReadIsMade(Dtype dtype, Precision precision, int made, int mapped) {
    new HfFolderWriter(dir, SMALL, dtype).write(new RandomWeights(SMALL, 1));
    try (StoredModel stored = ModelFiles.open(dir);
        PackedModel packed = PackedModel.of(stored, precision)) {
      MemoryNeed need = MemoryNeed.of(stored, precision);
      assertThat(need.made()).isEqualTo(made * READ);
      assertThat(need.mapped()).isEqualTo(mapped * READ);
      assertThat(need.made() + need.mapped()).isEqualTo(packed.stepBytes());
    }
  }

  @Test
  void quantisedWeightsAreCountedAsTheyAre() {
    new HfFolderWriter(dir.resolve("plain"), SMALL, Dtype.F32).write(new RandomWeights(SMALL, 1));
    try (StoredModel plain = ModelFiles.open(dir.resolve("plain"))) {
      Quantisation.to(GgmlType.Q4_0, plain).write(dir.resolve("q4"), bytes -> {});
    }
    try (StoredModel stored = ModelFiles.open(dir.resolve("q4"));
        PackedModel packed = PackedModel.of(stored, Precision.STORED)) {
      MemoryNeed need = MemoryNeed.of(stored, Precision.STORED);
      assertThat(need.made()).isZero();
      assertThat(need.mapped()).isEqualTo(packed.stepBytes());
      assertThat(MemoryNeed.of(stored, Precision.F32).made()).isEqualTo(4 * READ);
    }
  }

  /**
   * However weights are stored, fused or apart: made is what lies in memory of its own, mapped what
   * lies in the file's.
   */
  @Property(tries = 100, edgeCases = EdgeCasesMode.NONE)
  void whatIsMadeAndWhatIsMappedIsCountedByTheByte(
      @ForAll("specs") ModelSpec spec,
      @ForAll StoredWeights.Fusing fusing,
      @ForAll("types") GgmlType type,
      @ForAll Precision precision,
      @ForAll long seed) {
    StoredWeights weights = new StoredWeights(spec, seed, fusing, id -> type, true);
    try (PackedModel packed = PackedModel.of(weights, precision)) {
      List<PackedLinear> linears = new ArrayList<>(List.of(packed.head));
      packed.layers.forEach(layer -> linears.addAll(layer.linears()));
      long mapped =
          linears.stream()
              .map(PackedLinear::weight)
              .filter(weight -> liesIn(weights, weight.data()))
              .mapToLong(PackedWeight::bytes)
              .sum();
      MemoryNeed need = MemoryNeed.of(Path.of("model"), weights, precision);
      assertThat(need.mapped()).isEqualTo(mapped);
      assertThat(need.made()).isEqualTo(packed.stepBytes() - mapped);
      assertThat(need.parameters()).isEqualTo(spec.parameterCount());
    }
  }

  private static boolean liesIn(StoredWeights weights, MemorySegment data) {
    return weights.tensors().stream()
        .flatMap(tensor -> tensor.inPlace().stream())
        .anyMatch(
            stored -> {
              long offset = data.address() - stored.data().address();
              return offset >= 0 && offset < stored.data().byteSize();
            });
  }

  @Provide
  Arbitrary<ModelSpec> specs() {
    return Specs.all();
  }

  @Provide
  Arbitrary<GgmlType> types() {
    return Arbitraries.of(GgmlType.F32, GgmlType.BF16, GgmlType.F16, GgmlType.Q8_0, GgmlType.Q4_0);
  }

  @Test
  void keysAndValuesAreCountedByTheirHeads() {
    ModelSpec spec =
        ModelSpec.neox(128, 64, 2, 4, 32)
            .mapBlocks(block -> block.withAttention(block.attention().withKvHeads(2)));
    MemoryNeed need = MemoryNeed.of(Path.of("model"), StoredWeights.of(spec, 1), Precision.STORED);
    assertThat(need.kv()).isEqualTo(KvPrecision.F32);
    assertThat(need.tokenBytes()).isEqualTo(2 * 4 * 2 * 32);
  }
}
