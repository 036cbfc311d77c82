package dev.jneox.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.jneox.model.ModelConfig;
import dev.jneox.tensor.Tensors;
import java.nio.file.Path;
import java.util.Arrays;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class SyntheticModelTest {
  /** A width that is no multiple of four, and enough rows for several chunks. */
  private static final ModelConfig CONFIG = ModelConfig.neox(30_001, 18, 2, 2, 16);

  private static SyntheticModel model(Dtype dtype, long seed) {
    return new SyntheticModel(Path.of("shape.yml"), CONFIG, 0.02, 0.005, dtype, seed, null);
  }

  private static float[] floats(SyntheticModel model, String name) {
    try (Tensor tensor = model.tensor(name)) {
      return Tensors.floats(tensor);
    }
  }

  @Test
  void everyTensorHasItsShapeAndType() {
    SyntheticModel model = model(Dtype.BF16, 1);
    for (ModelConfig.TensorSpec spec : CONFIG.tensors()) {
      try (Tensor tensor = model.tensor(spec.name())) {
        assertThat(Tensors.shape(tensor)).isEqualTo(spec.shape());
        assertThat(tensor.scalar_type().intern()).isEqualTo(ScalarType.BFloat16);
      }
    }
    assertThatThrownBy(() -> model.tensor("layers.2.mlp.dense_4h_to_h.weight"))
        .hasMessageContaining("no tensor");
  }

  @Test
  void matricesAreNormalWithTheRecipesDeviations() {
    SyntheticModel model = model(Dtype.F32, 1);
    float[] values = floats(model, "embed_in.weight");
    double n = values.length;
    double deviation = deviation(values);
    assertThat(deviation).isCloseTo(0.02, within(0.02 * 4 / Math.sqrt(2 * n)));
    for (double z : new double[] {0.5, 1, 2, 3}) {
      double beyond = 0;
      double below = 0;
      for (float value : values) {
        beyond += value > z * 0.02 ? 1 : 0;
        below += value < -z * 0.02 ? 1 : 0;
      }
      double expected = upperTail(z);
      assertThat(beyond / n).isCloseTo(expected, within(4 * Math.sqrt(expected / n)));
      assertThat(below / n).isCloseTo(expected, within(4 * Math.sqrt(expected / n)));
    }
    assertThat(deviation(floats(model, "layers.1.attention.dense.weight")))
        .isCloseTo(0.005, within(0.001));
    assertThat(deviation(floats(model, "layers.1.mlp.dense_4h_to_h.weight")))
        .isCloseTo(0.005, within(0.001));
    assertThat(deviation(floats(model, "layers.1.mlp.dense_h_to_4h.weight")))
        .isCloseTo(0.02, within(0.003));
  }

  /** P(Z > z), from tables. */
  private static double upperTail(double z) {
    return z == 0.5 ? 0.308538 : z == 1 ? 0.158655 : z == 2 ? 0.022750 : 0.001350;
  }

  private static double deviation(float[] values) {
    double sum = 0;
    for (float value : values) {
      sum += (double) value * value;
    }
    return Math.sqrt(sum / values.length);
  }

  @Test
  void neighboursAreIndependent() {
    float[] values = floats(model(Dtype.F32, 1), "embed_in.weight");
    for (int distance : new int[] {1, 2, 3, 4, 18}) {
      double product = 0;
      for (int i = 0; i + distance < values.length; i++) {
        product += (double) values[i] * values[i + distance];
      }
      assertThat(product / values.length / (0.02 * 0.02))
          .isCloseTo(0, within(4 / Math.sqrt(values.length)));
    }
  }

  @Test
  void normsBeginAtOneAndBiasesAtZero() {
    SyntheticModel model = model(Dtype.F16, 1);
    assertThat(floats(model, "layers.0.input_layernorm.weight")).containsOnly(1);
    assertThat(floats(model, "final_layer_norm.weight")).containsOnly(1);
    assertThat(floats(model, "final_layer_norm.bias")).containsOnly(0);
    assertThat(floats(model, "layers.1.attention.query_key_value.bias")).containsOnly(0);
  }

  @Test
  void theSameSeedGivesTheSameWeightsAndAnotherGivesOthers() {
    float[] values = floats(model(Dtype.F32, 7), "embed_in.weight");
    assertThat(floats(model(Dtype.F32, 7), "embed_in.weight")).isEqualTo(values);
    assertThat(floats(model(Dtype.F32, 8), "embed_in.weight")).isNotEqualTo(values);
    // Nor may one stream be another one, shifted.
    float[] head = floats(model(Dtype.F32, 7), "embed_out.weight");
    assertThat(head).isNotEqualTo(values);
    assertThat(Arrays.copyOfRange(floats(model(Dtype.F32, 8), "embed_in.weight"), 0, 1000))
        .isNotEqualTo(Arrays.copyOfRange(values, 4, 1004));
  }

  @ParameterizedTest
  @EnumSource(names = {"BF16", "F16"})
  void halvesAreTheFloatsRounded(Dtype dtype) {
    for (String name : new String[] {"embed_in.weight", "layers.0.attention.dense.weight"}) {
      try (Tensor floats = model(Dtype.F32, 3).tensor(name);
          Tensor rounded = floats.to(dtype.scalarType());
          Tensor halves = model(dtype, 3).tensor(name)) {
        assertThat(Tensors.segment(halves).mismatch(Tensors.segment(rounded))).isEqualTo(-1);
      }
    }
  }

  @Test
  void theFirstValuesAreThoseTheyEverWere() {
    float[] values = floats(model(Dtype.F32, 1), "embed_in.weight");
    assertThat(Arrays.copyOf(values, 4))
        .containsExactly(0.01889197f, 0.0063048187f, -0.0020548557f, -0.019583263f);
  }
}
