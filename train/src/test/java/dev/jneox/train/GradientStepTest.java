package dev.jneox.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.jneox.model.Activation;
import dev.jneox.model.ModelConfig;
import dev.jneox.model.Position;
import dev.jneox.model.Residual;
import dev.jneox.tensor.Tensors;
import java.util.List;
import java.util.Random;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** The written-out step against autograd over the reference model, on odd sizes. */
class GradientStepTest {
  @ParameterizedTest
  @CsvSource({
    "PARALLEL, GELU, false, 0.2, Float, false",
    "PARALLEL, GELU_TANH, true, 1.0, Float, true",
    "SERIAL, GELU_TANH, false, 0.5, Float, false",
    "SERIAL, GELU, true, 0.2, Float, true",
    "PARALLEL, GELU_TANH, false, 0.2, BFloat16, false",
    "SERIAL, GELU, false, 0.2, BFloat16, true",
    "PARALLEL, GELU, false, 0.2, Half, false",
  })
  void fusedGivesAutogradsGradients(
      Residual residual,
      Activation activation,
      boolean tied,
      double pct,
      ScalarType compute,
      boolean recompute) {
    fusedGivesAutogradsGradients(config(residual, activation, tied, pct), compute, recompute);
  }

  /** What GPT-NeoX has not, alone and as the other families have it together. */
  private enum Other {
    GPT_J(
        new Position.Rotary(6, 10000, true),
        Residual.PARALLEL_ONE_NORM,
        List.of(0, 0),
        true,
        false,
        false,
        true,
        false),
    GPT_2(new Position.Learned(), Residual.SERIAL, List.of(0, 0), true, true, true, false, true),
    GPT_NEO(
        new Position.Learned(), Residual.SERIAL, List.of(0, 49), false, false, true, false, true),
    GPT_3(new Position.Learned(), Residual.SERIAL, List.of(0, 17), true, true, true, false, true),
    WINDOWS_OF_ONE_AND_48(
        new Position.Rotary(4, 100, false),
        Residual.PARALLEL,
        List.of(1, 48),
        true,
        true,
        true,
        false,
        false),
    WINDOWS_LARGER_THAN_THE_TEXT(
        new Position.Learned(),
        Residual.PARALLEL,
        List.of(100, 1000),
        true,
        true,
        false,
        true,
        true),
    ONE_NORM_TIED(
        new Position.Rotary(12, 77, true),
        Residual.PARALLEL_ONE_NORM,
        List.of(7, 0),
        false,
        true,
        true,
        true,
        true);

    private final ModelConfig config;

    Other(
        Position position,
        Residual residual,
        List<Integer> windows,
        boolean scaled,
        boolean qkvBias,
        boolean denseBias,
        boolean headBias,
        boolean tied) {
      config =
          new ModelConfig(
              101,
              101,
              39,
              2,
              3,
              83,
              101,
              position,
              residual,
              Activation.GELU_TANH,
              1e-5,
              windows,
              scaled,
              qkvBias,
              denseBias,
              headBias,
              tied,
              0);
    }
  }

  @ParameterizedTest
  @EnumSource(Other.class)
  void fusedGivesAutogradsGradientsOfTheOtherFamilies(Other other) {
    fusedGivesAutogradsGradients(other.config, ScalarType.Float, other == Other.GPT_3);
    fusedGivesAutogradsGradients(other.config, ScalarType.BFloat16, other != Other.GPT_3);
  }

  private static void fusedGivesAutogradsGradients(
      ModelConfig config, ScalarType compute, boolean recompute) {
    fusedGivesAutogradsGradients(config, compute, compute, recompute);
    if (compute != ScalarType.Float) {
      fusedGivesAutogradsGradients(config, compute, ScalarType.Float, recompute);
    }
  }

  private static void fusedGivesAutogradsGradients(
      ModelConfig config, ScalarType compute, ScalarType carrier, boolean recompute) {
    GradientStep.Batch batch = batch(config, 2, 101, 11);
    try (Parameters slow = filled(config, ScalarType.Float, ScalarType.Float);
        Parameters fast = filled(config, compute, carrier)) {
      double scale = 0.5;
      try (GradientStep autograd = new AutogradStep(config, slow);
          GradientStep fused = new FusedStep(config, fast, recompute)) {
        boolean exact = compute == ScalarType.Float;
        // Scores that are not scaled are large, and so is what their rounding does to a
        // probability.
        double sharp = config.scaledAttention() ? 1 : 4;
        for (int micro = 0; micro < 2; micro++) {
          double expected = autograd.gradient(batch, scale);
          assertThat(fused.gradient(batch, scale)).isCloseTo(expected, within(exact ? 2e-6 : 3e-2));
        }
        assertThat(fused.loss(batch)).isCloseTo(autograd.loss(batch), within(exact ? 2e-6 : 3e-2));
        for (Parameters.Slot slot : slow.slots()) {
          float[] e = Tensors.floats(slow.gradient(slot.name()));
          float[] f = Tensors.floats(fast.gradient(slot.name()));
          assertThat(distance(e, f))
              .as(slot.name())
              .isLessThan(sharp * (exact ? 2e-6 : compute == ScalarType.Half ? 5e-3 : 3e-2));
        }
      }
    }
  }

  /**
   * The same numbers are multiplied whatever carries them: only the order of sums differs, and then
   * here and there a rounding.
   */
  @ParameterizedTest
  @CsvSource({
    "PARALLEL, BFloat16",
    "SERIAL, BFloat16",
    "PARALLEL_ONE_NORM, BFloat16",
    "PARALLEL, Half",
    "SERIAL, Half"
  })
  void fp32CarriesTheNumbersOfSixteenBits(Residual residual, ScalarType compute) {
    ModelConfig config = config(residual, Activation.GELU, false, 0.5);
    GradientStep.Batch batch = batch(config, 2, 101, 11);
    double precision = compute == ScalarType.Half ? 0x1p-11 : 0x1p-8;
    try (Parameters own = filled(config, compute, compute);
        Parameters carried = filled(config, compute, ScalarType.Float);
        GradientStep ownStep = new FusedStep(config, own, false);
        GradientStep carriedStep = new FusedStep(config, carried, false)) {
      assertThat(carriedStep.gradient(batch, 1))
          .isCloseTo(ownStep.gradient(batch, 1), within(precision));
      for (Parameters.Slot slot : own.slots()) {
        Tensor expected = own.gradient(slot.name());
        assertThat(
                distance(Tensors.floats(expected), Tensors.floats(carried.gradient(slot.name()))))
            .as(slot.name())
            .isLessThan(3 * precision);
        carried.gradient(slot.name()).copy_(expected);
      }
      for (Parameters parameters : List.of(own, carried)) {
        new AdamW(parameters, 0.9, 0.95, 1e-8, 0.1).step(0.01, 1);
      }
      for (Parameters.Slot slot : own.slots()) {
        if (slot.decays()) { // a matrix
          Tensor expected = own.computeMatrix(slot.name()).tensor;
          Tensor found = carried.computeMatrix(slot.name()).tensor;
          assertThat(found.scalar_type().intern()).isEqualTo(ScalarType.Float);
          assertThat(Tensors.floats(found)).as(slot.name()).isEqualTo(Tensors.floats(expected));
        }
      }
    }
  }

  /** |a - b| / |a|. */
  private static double distance(float[] a, float[] b) {
    double difference = 0;
    double norm = 0;
    for (int i = 0; i < a.length; i++) {
      difference += (a[i] - b[i]) * (double) (a[i] - b[i]);
      norm += a[i] * (double) a[i];
    }
    return Math.sqrt(difference / norm);
  }

  private static Parameters filled(ModelConfig config, ScalarType compute, ScalarType carrier) {
    Parameters parameters = new Parameters(config, compute, carrier);
    new Initializer(0.2, 0.2).fill(parameters, 5);
    // Biases of zero and norms of one would hide mistakes.
    Random random = new Random(9);
    for (Parameters.Slot slot : parameters.slots()) {
      if (!slot.decays()) {
        float[] noise = new float[(int) slot.size()];
        for (int i = 0; i < noise.length; i++) {
          noise[i] = (float) (0.1 * random.nextGaussian());
        }
        parameters.weight(slot.name()).add_(Tensors.of(noise, slot.shape()));
      }
    }
    parameters.refresh();
    return parameters;
  }

  static ModelConfig config(Residual residual, Activation activation, boolean tied, double pct) {
    int dims = (int) (13 * pct) / 2 * 2;
    return new ModelConfig(
        101,
        101,
        39,
        2,
        3,
        83,
        101,
        new Position.Rotary(dims, 10000, false),
        residual,
        activation,
        1e-5,
        ModelConfig.everywhere(2),
        true,
        true,
        true,
        false,
        tied,
        0);
  }

  static GradientStep.Batch batch(ModelConfig config, int sequences, int length, long seed) {
    Random random = new Random(seed);
    int n = sequences * length;
    int[] inputs = random.ints(n, 0, config.vocabSize()).toArray();
    int[] labels = random.ints(n, 0, config.vocabSize()).toArray();
    labels[4] = -100;
    float[] weights = new float[n];
    for (int i = 0; i < n; i++) {
      weights[i] = i % 5 == 0 ? 0 : 1 + i % 3;
    }
    return new GradientStep.Batch(inputs, labels, weights, sequences, length);
  }
}
