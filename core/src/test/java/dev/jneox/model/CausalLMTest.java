package dev.jneox.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.jneox.tensor.Tensors;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.EdgeCasesMode;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.constraints.IntRange;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.Test;

/**
 * The reference model, in every combination a {@link ModelConfig} can ask for, against plain loops.
 */
class CausalLMTest {
  static final int MAX_POSITIONS = 24;

  /** Small models of every family and of none. */
  @Provide
  static Arbitrary<ModelConfig> configs() {
    Arbitrary<Boolean> flag = Arbitraries.of(true, false);
    Arbitrary<Position> position =
        Arbitraries.oneOf(
            Arbitraries.just(new Position.Learned()),
            Combinators.combine(Arbitraries.of(2, 4, 6), Arbitraries.of(100.0, 10000.0), flag)
                .as(Position.Rotary::new));
    Arbitrary<List<Integer>> windows = Arbitraries.of(0, 1, 2, 5, 100).list().ofSize(2);
    Arbitrary<boolean[]> choices = flag.array(boolean[].class).ofSize(5);
    Arbitrary<Residual> residuals = Arbitraries.of(Residual.class);
    Arbitrary<Activation> activations = Arbitraries.of(Activation.class);
    return Combinators.combine(
            position,
            residuals,
            activations,
            windows,
            Arbitraries.integers().between(1, 3),
            choices)
        .as(
            (where, residual, activation, window, heads, choice) ->
                new ModelConfig(
                    17,
                    15,
                    6 * heads,
                    2,
                    heads,
                    11,
                    MAX_POSITIONS,
                    where,
                    residual,
                    activation,
                    1e-5,
                    window,
                    choice[0],
                    choice[1],
                    choice[2],
                    choice[3],
                    choice[4],
                    0));
  }

  @Property(tries = 150, edgeCases = EdgeCasesMode.NONE)
  void logitsAreThoseOfTheLoops(
      @ForAll("configs") ModelConfig config,
      @ForAll @IntRange(min = 1, max = MAX_POSITIONS) int length,
      @ForAll long seed) {
    int[] ids = ids(config, length, seed);
    double[][] expected = new Oracle(config, RandomModel.weights(config, seed)).logits(ids);
    try (PointerScope _ = new PointerScope();
        CausalLM model = RandomModel.of(config, seed)) {
      Tensor logits = model.forward(Tensors.of(ids, 1, length));
      assertThat(Tensors.shape(logits)).containsExactly(1, length, config.vocabSize());
      float[] found = Tensors.floats(logits);
      for (int s = 0; s < length; s++) {
        for (int v = 0; v < config.vocabSize(); v++) {
          double logit = found[s * config.vocabSize() + v];
          assertThat(logit).as("position %d, id %d", s, v).isCloseTo(expected[s][v], within(1e-4));
        }
      }
    }
  }

  static int[] ids(ModelConfig config, int length, long seed) {
    return new java.util.SplittableRandom(seed).ints(length, 0, config.vocabSize()).toArray();
  }

  @Test
  void theRowsOfABatchDoNotMix() {
    ModelConfig config = ModelConfig.neox(50, 32, 2, 4, MAX_POSITIONS);
    try (PointerScope _ = new PointerScope();
        CausalLM model = RandomModel.of(config, 1)) {
      int[] rows = ids(config, 21, 3);
      float[] together = Tensors.floats(model.forward(Tensors.of(rows, 3, 7)));
      for (int r = 0; r < 3; r++) {
        float[] alone =
            Tensors.floats(
                model.forward(Tensors.of(Arrays.copyOfRange(rows, 7 * r, 7 * r + 7), 1, 7)));
        assertThat(alone)
            .containsExactly(Arrays.copyOfRange(together, 350 * r, 350 * r + 350), within(1e-5f));
      }
    }
  }

  @Test
  void weightsInHalfPrecisionGiveNearlyTheSameLogitsInFp32() {
    ModelConfig config = ModelConfig.neox(50, 32, 2, 4, MAX_POSITIONS);
    try (PointerScope _ = new PointerScope();
        CausalLM exact = RandomModel.of(config, 1)) {
      Tensor ids = Tensors.of(ids(config, 20, 3), 1, 20);
      float[] expected = Tensors.floats(exact.forward(ids));
      for (ScalarType dtype : new ScalarType[] {ScalarType.BFloat16, ScalarType.Half}) {
        try (CausalLM model = RandomModel.of(config, 1, dtype)) {
          Tensor logits = model.forward(ids);
          assertThat(logits.scalar_type().intern()).isEqualTo(ScalarType.Float);
          float tolerance = dtype == ScalarType.Half ? 0.02f : 0.15f;
          assertThat(Tensors.floats(logits))
              .as(dtype.name())
              .containsExactly(expected, within(tolerance))
              .isNotEqualTo(expected);
        }
      }
    }
  }

  @Test
  void anglesAreMadeAsTextsGrow() {
    ModelConfig config = ModelConfig.neox(50, 32, 1, 4, 300);
    int[] ids = ids(config, 300, 3);
    float[] expected;
    try (PointerScope _ = new PointerScope();
        CausalLM model = RandomModel.of(config, 1)) {
      expected = Tensors.floats(model.forward(Tensors.of(ids, 1, 300)));
    }
    try (PointerScope _ = new PointerScope();
        CausalLM model = RandomModel.of(config, 1)) {
      for (int length : new int[] {10, 70, 130, 300}) {
        float[] found =
            Tensors.floats(model.forward(Tensors.of(Arrays.copyOf(ids, length), 1, length)));
        assertThat(found).containsExactly(Arrays.copyOf(expected, 50 * length), within(1e-5f));
      }
    }
  }

  @Test
  void aConfigurationThatClaimsManyPositionsTakesNoMemoryForThem() {
    ModelConfig config = ModelConfig.neox(50, 32, 1, 4, Integer.MAX_VALUE);
    try (PointerScope _ = new PointerScope();
        CausalLM model = RandomModel.of(config, 1)) {
      assertThat(Tensors.shape(model.forward(Tensors.of(ids(config, 5, 3), 1, 5))))
          .containsExactly(1, 5, 50);
    }
  }

  @Test
  void aTextLongerThanTheModelReadsIsRefused() {
    ModelConfig config = ModelConfig.neox(50, 32, 1, 4, MAX_POSITIONS);
    try (PointerScope _ = new PointerScope();
        CausalLM model = RandomModel.of(config, 1)) {
      Tensor ids = Tensors.of(ids(config, 25, 3), 1, 25);
      assertThatThrownBy(() -> model.forward(ids))
          .hasMessage("the model reads 24 positions at most, 25 were given");
    }
  }

  @Test
  void aWrongOrMissingWeightIsNamed() {
    ModelConfig config = ModelConfig.neox(50, 32, 1, 4, MAX_POSITIONS);
    try (PointerScope _ = new PointerScope();
        CausalLM model = RandomModel.of(config, 1)) {
      Map<String, Tensor> weights = new HashMap<>(model.weights());
      weights.put("layers.0.attention.dense.weight", Tensors.zeros(ScalarType.Float, 32, 31));
      assertThatThrownBy(() -> new CausalLM(config, weights))
          .hasMessage("layers.0.attention.dense.weight: expected [32, 32], found [32, 31]");
      weights.remove("layers.0.attention.dense.weight");
      assertThatThrownBy(() -> new CausalLM(config, weights)).hasMessageContaining("found nothing");
    }
  }
}
