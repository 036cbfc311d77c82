package dev.jneox.data;

import static dev.jneox.data.Fixtures.bytes;
import static dev.jneox.data.Fixtures.megatron;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.data.SampleIndex.Spec;
import dev.jneox.io.InputException;
import dev.jneox.io.Progress;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.IntStream;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.DoubleRange;
import net.jqwik.api.constraints.Size;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class BlendedDatasetTest {
  @TempDir Path folder;

  private static List<GptDataset> parts() {
    return IntStream.range(0, 3)
        .mapToObj(
            part -> {
              IndexedDataset data = Fixtures.part(part);
              Spec spec =
                  Spec.all(data, Fixtures.SAMPLES[part], Fixtures.SEQ_LENGTH, Fixtures.SEEDS[part]);
              return new GptDataset(
                  data,
                  SampleIndex.build(data, spec, Arena.ofAuto(), Progress.silent()),
                  Fixtures.SEQ_LENGTH);
            })
        .toList();
  }

  private static BlendedDataset blend(List<GptDataset> parts, double... weights) {
    return BlendedDataset.of(parts, weights, Arena.ofAuto(), Progress.silent());
  }

  @Test
  void isGptNeoxsToTheLastByte() {
    BlendedDataset blend = blend(parts(), Fixtures.WEIGHTS);
    blend.datasetIndex().write(folder.resolve("dataset"));
    blend.sampleIndex().write(folder.resolve("sample"));
    assertThat(bytes(folder.resolve("dataset")))
        .isEqualTo(bytes(megatron("blend.dataset_index.npy")));
    assertThat(bytes(folder.resolve("sample")))
        .isEqualTo(bytes(megatron("blend.dataset_sample_index.npy")));
  }

  @Test
  void takesItsSamplesFromItsParts() {
    List<GptDataset> parts = parts();
    BlendedDataset blend = blend(parts, Fixtures.WEIGHTS);
    assertThat(blend.length()).isEqualTo(202 + 310 + 535);
    for (int i = 0; i < blend.length(); i++) {
      int part = (int) blend.datasetIndex().get(i);
      assertThat(blend.sample(i)).isEqualTo(parts.get(part).sample(blend.sampleIndex().get(i)));
    }
    assertThat(blend.sample(blend.length() + 3)).isEqualTo(blend.sample(3));
  }

  /** Whatever the weights, no part is ever a whole sample or more ahead of its share. */
  @Property(tries = 50)
  void keepsEveryPartNearItsShare(@ForAll @Size(3) List<@DoubleRange(max = 9) Double> weights) {
    double sum = weights.stream().mapToDouble(Double::doubleValue).sum();
    if (sum <= 1e-9) {
      return;
    }
    BlendedDataset blend =
        blend(PARTS, weights.stream().mapToDouble(Double::doubleValue).toArray());
    long[] used = new long[3];
    for (int i = 0; i < blend.length(); i++) {
      int part = (int) blend.datasetIndex().get(i);
      assertThat(blend.sampleIndex().get(i)).isEqualTo(used[part]++);
      assertThat(used[part] - (i + 1) * weights.get(part) / sum).isLessThanOrEqualTo(1 + 1e-9);
    }
  }

  private static final List<GptDataset> PARTS = parts();

  /** Expected values from NumPy 2.4; the plain sum differs in the last bit. */
  @Test
  void addsWeightsInNumpysOrder() {
    double[] nine = {0.1344, 0.8474, 0.7638, 0.2551, 0.4954, 0.4495, 0.6516, 0.7887, 0.0939};
    double[] many = {
      0.8462, 0.5053, 0.589, 0.0345, 0.2427, 0.7974, 0.4143, 0.173, 0.5488, 0.703, 0.6745, 0.3747,
      0.439, 0.5084, 0.7784, 0.5209, 0.3933, 0.4897, 0.0296, 0.0435, 0.7034, 0.9832
    };
    double[] blocks =
        IntStream.rangeClosed(1, 200).mapToDouble(i -> i * 7919 % 1000 / 997.0).toArray();
    assertThat(BlendedDataset.numpySum(nine, 0, 9)).isEqualTo(0x1.1eb50b0f27bb3p+2);
    assertThat(BlendedDataset.numpySum(many, 0, 22)).isEqualTo(0x1.595e9e1b089a1p+3);
    assertThat(BlendedDataset.numpySum(blocks, 0, 200)).isEqualTo(0x1.90cd6a8f47202p+6);
  }

  @Test
  void asksEachPartForHalfAPercentMore() {
    assertThat(BlendedDataset.samplesPerPart(Fixtures.WEIGHTS, 1000))
        .containsExactly(503, 201, 302);
    assertThat(BlendedDataset.samplesPerPart(new double[] {3, 1, 1}, 7)).containsExactly(5, 2, 2);
    assertThat(BlendedDataset.samplesPerPart(Fixtures.WEIGHTS, 143_000 * 1024L))
        .containsExactly(73582080, 29432832, 44149248);
  }

  /** Expected values from GPT-NeoX's formula in Python. */
  @Test
  void weighsByDocuments() {
    Offset<Double> exact = Offset.offset(1e-15);
    assertThat(BlendedDataset.weightsByDocuments(new long[] {40, 80, 120}, 1))
        .containsExactly(
            new double[] {0.22727272727272727, 0.36363636363636365, 0.40909090909090906}, exact);
    assertThat(BlendedDataset.weightsByDocuments(new long[] {40, 80, 120}, 0.3))
        .containsExactly(
            new double[] {0.3547169689654775, 0.3493662517283918, 0.2959167793061307}, exact);
    assertThat(BlendedDataset.weightsByDocuments(new long[] {7, 1_000_000}, 0.5))
        .containsExactly(new double[] {0.9973612302175265, 0.0026387697824733995}, exact);
  }

  @Test
  void refusesWeightsThatSayNothing() {
    double infinity = Double.POSITIVE_INFINITY;
    for (double[] weights :
        new double[][] {{1, 1}, {0, 0, 0}, {1, -1, 1}, {1, Double.NaN, 1}, {1, infinity, 1}}) {
      assertThatThrownBy(() -> blend(PARTS, weights))
          .isInstanceOf(InputException.class)
          .hasMessageContaining("blend");
    }
  }
}
