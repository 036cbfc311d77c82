package dev.jneox.torch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.jneox.model.Activation;
import dev.jneox.model.Attention;
import dev.jneox.model.BlockSpec;
import dev.jneox.model.Embedding;
import dev.jneox.model.FeedForward;
import dev.jneox.model.Head;
import dev.jneox.model.ModelSpec;
import dev.jneox.model.Norm;
import dev.jneox.model.ParamId;
import dev.jneox.model.Part;
import dev.jneox.model.PlainForward;
import dev.jneox.model.Position;
import dev.jneox.model.Residual;
import dev.jneox.model.Vocabulary;
import java.util.Arrays;
import java.util.HashMap;
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
 * The reference model, in every combination a {@link ModelSpec} can ask for, against plain loops.
 */
class CausalLMTest {
  static final int MAX_POSITIONS = 24;

  /** Small models of every family and of none; their blocks differ. */
  @Provide
  static Arbitrary<ModelSpec> specs() {
    Arbitrary<Boolean> flag = Arbitraries.of(true, false);
    Arbitrary<Norm> norm =
        Arbitraries.of(new Norm.Layer(1e-5), new Norm.Rms(1e-6), new Norm.Rms(0.1));
    return Combinators.combine(flag, blocks().list().ofSize(2), norm, flag, flag)
        .as(
            (learned, blocks, last, tied, headBias) ->
                new ModelSpec(
                    new Vocabulary(17, 15, 0),
                    12,
                    new Embedding(learned),
                    blocks,
                    last,
                    new Head(tied, headBias),
                    MAX_POSITIONS));
  }

  private static Arbitrary<BlockSpec> blocks() {
    Arbitrary<Boolean> flag = Arbitraries.of(true, false);
    Arbitrary<Norm> norm =
        Arbitraries.of(new Norm.Layer(1e-5), new Norm.Rms(1e-6), new Norm.Rms(0.1));
    Arbitrary<Residual> residual =
        Combinators.combine(norm, norm, Arbitraries.integers().between(0, 2))
            .as(
                (first, second, kind) ->
                    switch (kind) {
                      case 0 -> new Residual.Serial(first, second);
                      case 1 -> new Residual.Parallel(first, second);
                      default -> new Residual.ParallelOneNorm(first);
                    });
    Arbitrary<FeedForward> feedForward =
        Combinators.combine(flag, Arbitraries.of(Activation.class), flag)
            .as(
                (gated, activation, bias) ->
                    gated
                        ? new FeedForward.Gated(11, activation, bias)
                        : new FeedForward.Plain(11, activation, bias));
    return Combinators.combine(residual, attentions(), feedForward).as(BlockSpec::new);
  }

  private static Arbitrary<Attention> attentions() {
    Arbitrary<Boolean> flag = Arbitraries.of(true, false);
    Arbitrary<Position> position =
        Arbitraries.oneOf(
            Arbitraries.just(new Position.None()),
            Combinators.combine(Arbitraries.of(2, 4, 6), Arbitraries.of(100.0, 10000.0), flag)
                .as(Position.Rotary::new));
    return Combinators.combine(
            position,
            Arbitraries.of(1, 2, 3),
            Arbitraries.of(1, 2),
            Arbitraries.of(6, 7),
            Arbitraries.of(0, 1, 2, 5, 100),
            Arbitraries.of(1.0, 0.3, Attention.scaleOf(6)),
            flag,
            flag)
        .as(
            (where, kvHeads, group, headDim, window, scale, qkvBias, outBias) ->
                new Attention(
                    kvHeads * group, kvHeads, headDim, where, window, scale, qkvBias, outBias));
  }

  @Property(tries = 150, edgeCases = EdgeCasesMode.NONE)
  void logitsAreThoseOfTheLoops(
      @ForAll("specs") ModelSpec spec,
      @ForAll @IntRange(min = 1, max = MAX_POSITIONS) int length,
      @ForAll long seed) {
    int[] ids = ids(spec, length, seed);
    double[][] expected = new PlainForward(spec, RandomModel.weights(spec, seed)).logits(ids);
    try (PointerScope _ = new PointerScope();
        CausalLM model = RandomModel.of(spec, seed)) {
      Tensor logits = model.forward(Tensors.of(ids, 1, length));
      assertThat(Tensors.shape(logits)).containsExactly(1, length, spec.vocabulary().rows());
      float[] found = Tensors.floats(logits);
      for (int s = 0; s < length; s++) {
        for (int v = 0; v < spec.vocabulary().rows(); v++) {
          double logit = found[s * spec.vocabulary().rows() + v];
          assertThat(logit).as("position %d, id %d", s, v).isCloseTo(expected[s][v], within(1e-4));
        }
      }
    }
  }

  static int[] ids(ModelSpec spec, int length, long seed) {
    return new java.util.SplittableRandom(seed).ints(length, 0, spec.vocabulary().rows()).toArray();
  }

  @Test
  void theRowsOfABatchDoNotMix() {
    ModelSpec spec = ModelSpec.neox(50, 32, 2, 4, MAX_POSITIONS);
    try (PointerScope _ = new PointerScope();
        CausalLM model = RandomModel.of(spec, 1)) {
      int[] rows = ids(spec, 21, 3);
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
    ModelSpec spec = ModelSpec.neox(50, 32, 2, 4, MAX_POSITIONS);
    try (PointerScope _ = new PointerScope();
        CausalLM exact = RandomModel.of(spec, 1)) {
      Tensor ids = Tensors.of(ids(spec, 20, 3), 1, 20);
      float[] expected = Tensors.floats(exact.forward(ids));
      for (ScalarType dtype : new ScalarType[] {ScalarType.BFloat16, ScalarType.Half}) {
        try (CausalLM model = RandomModel.of(spec, 1, dtype)) {
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
    ModelSpec spec = ModelSpec.neox(50, 32, 1, 4, 300);
    int[] ids = ids(spec, 300, 3);
    float[] expected;
    try (PointerScope _ = new PointerScope();
        CausalLM model = RandomModel.of(spec, 1)) {
      expected = Tensors.floats(model.forward(Tensors.of(ids, 1, 300)));
    }
    try (PointerScope _ = new PointerScope();
        CausalLM model = RandomModel.of(spec, 1)) {
      for (int length : new int[] {10, 70, 130, 300}) {
        float[] found =
            Tensors.floats(model.forward(Tensors.of(Arrays.copyOf(ids, length), 1, length)));
        assertThat(found).containsExactly(Arrays.copyOf(expected, 50 * length), within(1e-5f));
      }
    }
  }

  @Test
  void aConfigurationThatClaimsManyPositionsTakesNoMemoryForThem() {
    ModelSpec spec = ModelSpec.neox(50, 32, 1, 4, Integer.MAX_VALUE);
    try (PointerScope _ = new PointerScope();
        CausalLM model = RandomModel.of(spec, 1)) {
      assertThat(Tensors.shape(model.forward(Tensors.of(ids(spec, 5, 3), 1, 5))))
          .containsExactly(1, 5, 50);
    }
  }

  @Test
  void aTextLongerThanTheModelReadsIsRefused() {
    ModelSpec spec = ModelSpec.neox(50, 32, 1, 4, MAX_POSITIONS);
    try (PointerScope _ = new PointerScope();
        CausalLM model = RandomModel.of(spec, 1)) {
      Tensor ids = Tensors.of(ids(spec, 25, 3), 1, 25);
      assertThatThrownBy(() -> model.forward(ids))
          .hasMessage("the model reads 24 positions at most, 25 were given");
    }
  }

  @Test
  void aWrongOrMissingWeightIsNamed() {
    ModelSpec spec = ModelSpec.neox(50, 32, 1, 4, MAX_POSITIONS);
    try (PointerScope _ = new PointerScope();
        CausalLM model = RandomModel.of(spec, 1)) {
      ParamId dense = ParamId.weight(0, Part.ATTENTION_OUT);
      Map<ParamId, Tensor> weights = new HashMap<>(model.weights());
      weights.put(dense, Tensors.zeros(ScalarType.Float, 32, 31));
      assertThatThrownBy(() -> new CausalLM(spec, weights))
          .hasMessage("blocks.0.attention_out.weight: expected [32, 32], found [32, 31]");
      weights.remove(dense);
      assertThatThrownBy(() -> new CausalLM(spec, weights)).hasMessageContaining("found nothing");
    }
  }
}
