package dev.jneox.convert;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.jneox.model.ModelSpec;
import dev.jneox.model.Param;
import dev.jneox.model.ParamId;
import dev.jneox.model.Part;
import dev.jneox.weights.Dtype;
import dev.jneox.weights.MappedTensor;
import dev.jneox.weights.Rounded;
import dev.jneox.weights.StoredTensor;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class SyntheticModelTest {
  /** A width that is no multiple of four, and enough rows for several chunks. */
  private static final ModelSpec SPEC = ModelSpec.neox(30_001, 18, 2, 2, 16);

  private static SyntheticModel model(Dtype dtype, long seed) {
    return new SyntheticModel(Path.of("shape.yml"), SPEC, 0.02, 0.005, dtype, seed, null);
  }

  private static final ParamId EMBEDDING = ParamId.weight(Part.EMBEDDING);

  @Test
  void everyTensorHasItsShapeAndType() {
    SyntheticModel model = model(Dtype.BF16, 1);
    try (Arena arena = Arena.ofShared()) {
      for (StoredTensor tensor : model.tensors()) {
        MappedTensor values = tensor.read(arena);
        assertThat(values.dtype()).isEqualTo(Dtype.BF16);
        assertThat(values.size()).isEqualTo(tensor.expression().elements());
      }
      for (Param param : SPEC.parameters()) {
        assertThat(model.read(param.id(), arena).size()).isEqualTo(param.elements());
      }
      assertThatThrownBy(() -> model.read(ParamId.weight(2, Part.DOWN), arena))
          .hasMessageContaining("no parameter blocks.2.down.weight");
    }
  }

  @Test
  void matricesAreNormalWithTheRecipesDeviations() {
    SyntheticModel model = model(Dtype.F32, 1);
    float[] values = model.floats(EMBEDDING);
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
    assertThat(deviation(model.floats(ParamId.weight(1, Part.ATTENTION_OUT))))
        .isCloseTo(0.005, within(0.001));
    assertThat(deviation(model.floats(ParamId.weight(1, Part.DOWN))))
        .isCloseTo(0.005, within(0.001));
    assertThat(deviation(model.floats(ParamId.weight(1, Part.UP)))).isCloseTo(0.02, within(0.003));
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
    float[] values = model(Dtype.F32, 1).floats(EMBEDDING);
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
    assertThat(model.floats(ParamId.weight(0, Part.ATTENTION_NORM))).containsOnly(1);
    assertThat(model.floats(ParamId.weight(Part.FINAL_NORM))).containsOnly(1);
    assertThat(model.floats(ParamId.bias(Part.FINAL_NORM))).containsOnly(0);
    assertThat(model.floats(ParamId.bias(1, Part.KEY))).containsOnly(0);
  }

  @Test
  void theSameSeedGivesTheSameWeightsAndAnotherGivesOthers() {
    float[] values = model(Dtype.F32, 7).floats(EMBEDDING);
    assertThat(model(Dtype.F32, 7).floats(EMBEDDING)).isEqualTo(values);
    assertThat(model(Dtype.F32, 8).floats(EMBEDDING)).isNotEqualTo(values);
    // Nor may one stream be another one, shifted.
    float[] head = model(Dtype.F32, 7).floats(ParamId.weight(Part.HEAD));
    assertThat(head).isNotEqualTo(values);
    assertThat(Arrays.copyOfRange(model(Dtype.F32, 8).floats(EMBEDDING), 0, 1000))
        .isNotEqualTo(Arrays.copyOfRange(values, 4, 1004));
  }

  @ParameterizedTest
  @EnumSource(names = {"BF16", "F16"})
  void halvesAreTheFloatsRounded(Dtype dtype) {
    for (ParamId id : List.of(EMBEDDING, ParamId.weight(0, Part.ATTENTION_OUT))) {
      float[] expected = Rounded.to(dtype, model(Dtype.F32, 3).floats(id));
      assertThat(model(dtype, 3).holder(id).type()).isEqualTo(dtype.name());
      assertThat(model(dtype, 3).floats(id)).isEqualTo(expected);
    }
  }

  @Test
  void theFirstValuesAreThoseTheyEverWere() {
    float[] values = model(Dtype.F32, 1).floats(EMBEDDING);
    assertThat(Arrays.copyOf(values, 4))
        .containsExactly(0.01889197f, 0.0063048187f, -0.0020548557f, -0.019583263f);
  }

  /** The stream of a tensor is by its name: that of the fused query, key and value. */
  @Test
  void theFirstFusedValuesAreThoseTheyEverWere() {
    SyntheticModel model = model(Dtype.F32, 1);
    float[] query = model.floats(ParamId.weight(1, Part.QUERY));
    assertThat(Arrays.copyOf(query, 2)).containsExactly(-0.005308952f, 0.008988587f);
    assertThat(Arrays.copyOf(model.floats(ParamId.weight(1, Part.KEY)), 2))
        .containsExactly(-0.022555513f, 0.013017677f);
    assertThat(Arrays.copyOf(model.floats(ParamId.weight(1, Part.VALUE)), 2))
        .containsExactly(0.022725375f, -0.019336425f);
    // Of head 1, which is 9 wide.
    assertThat(Arrays.copyOfRange(query, 9 * 18, 9 * 18 + 2))
        .containsExactly(-0.005967247f, 0.02459799f);
  }
}
