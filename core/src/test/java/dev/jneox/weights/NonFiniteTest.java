package dev.jneox.weights;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.format.hf.FamilyFolder;
import dev.jneox.format.hf.HfFolder;
import dev.jneox.format.hf.HfFolderWriter;
import dev.jneox.model.ModelSpec;
import dev.jneox.model.ParamId;
import dev.jneox.model.Part;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Random;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Tag;
import net.jqwik.api.constraints.IntRange;

@Tag("slow")
class NonFiniteTest {
  private static final Dtype[] TYPES = {Dtype.F32, Dtype.F64, Dtype.F16, Dtype.BF16};

  /**
   * Values of every exponent that is finite, among them a few that are not; sizes on both sides of
   * a block and of a share.
   */
  @Property(tries = 60)
  void everyValueThatIsNoNumberIsCounted(
      @ForAll long seed,
      @ForAll @IntRange(max = 3) int type,
      @ForAll @IntRange(max = 5) int broken,
      @ForAll @IntRange(max = 3) int size) {
    Random random = new Random(seed);
    int n = new int[] {1, 40_000, 70_001, 2_200_000}[size];
    float[] values = new float[n];
    for (int i = 0; i < n; i++) {
      values[i] = (float) ((random.nextFloat() - 0.5) * Math.pow(2, random.nextInt(-14, 15)));
    }
    for (int i = 0; i < broken; i++) {
      values[random.nextInt(n)] =
          new float[] {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY}
              [random.nextInt(3)];
    }
    long nans = 0;
    long infinities = 0;
    long first = -1;
    for (int i = 0; i < n; i++) {
      nans += Float.isNaN(values[i]) ? 1 : 0;
      infinities += Float.isInfinite(values[i]) ? 1 : 0;
      first = first < 0 && !Float.isFinite(values[i]) ? i : first;
    }
    Dtype dtype = TYPES[type];
    try (Arena arena = Arena.ofShared()) {
      MappedTensor tensor =
          new MappedTensor(dtype, arena.allocate((long) n * dtype.bits() / 8, 64));
      tensor.write(0, values, 0, n);
      assertThat(NonFinite.in(tensor.data(), dtype))
          .isEqualTo(new NonFinite(nans, infinities, first));
    }
  }

  /** What a file keeps transposed is counted in the order of the parameter. */
  @Property(tries = 20)
  void aTransposedTensorIsCountedInItsOwnOrder(
      @ForAll @IntRange(max = 23) int row, @ForAll @IntRange(max = 15) int column)
      throws IOException {
    ModelSpec spec = FamilyFolder.tiny("gpt2");
    ParamId up = ParamId.weight(1, Part.UP);
    RandomWeights weights = new RandomWeights(spec, 1);
    weights.set(up, row * 16L + column, Float.NaN);
    Path dir = Files.createTempDirectory("transposed");
    try {
      new HfFolderWriter(dir, spec, Dtype.F32).write(weights);
      try (Arena arena = Arena.ofShared();
          HfFolder folder = HfFolder.open(dir)) {
        assertThat(folder.holder(up).inPlace()).isEmpty();
        assertThat(NonFinite.in(folder.read(up, arena).data(), Dtype.F32))
            .isEqualTo(new NonFinite(1, 0, row * 16L + column));
      }
    } finally {
      try (var files = Files.list(dir)) {
        files.forEach(file -> file.toFile().delete());
      }
      Files.delete(dir);
    }
  }

  @Property(tries = 1)
  void integersAreRefused() {
    assertThatThrownBy(() -> NonFinite.in(MemorySegment.ofArray(new byte[16]), Dtype.I32))
        .hasMessageContaining("I32 is not a type of weights");
  }
}
