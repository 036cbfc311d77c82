package dev.jneox.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.jneox.model.Activation;
import dev.jneox.model.ModelConfig;
import dev.jneox.model.Position;
import dev.jneox.model.Residual;
import dev.jneox.tensor.Tensors;
import java.util.Random;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

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
      Residual residual, Activation activation, boolean tied, double pct, ScalarType compute, boolean recompute) {
    ModelConfig config = config(residual, activation, tied, pct);
    GradientStep.Batch batch = batch(config, 2, 101, 11);
    try (Parameters slow = filled(config, ScalarType.Float);
        Parameters fast = filled(config, compute)) {
      double scale = 0.5;
      try (GradientStep autograd = new AutogradStep(config, slow);
          GradientStep fused = new FusedStep(config, fast, recompute)) {
        boolean exact = compute == ScalarType.Float;
        for (int micro = 0; micro < 2; micro++) {
          double expected = autograd.gradient(batch, scale);
          assertThat(fused.gradient(batch, scale)).isCloseTo(expected, within(exact ? 2e-6 : 3e-2));
        }
        assertThat(fused.loss(batch)).isCloseTo(autograd.loss(batch), within(exact ? 2e-6 : 3e-2));
        for (Parameters.Slot slot : slow.slots()) {
          float[] e = Tensors.floats(slow.gradient(slot.name()));
          float[] f = Tensors.floats(fast.gradient(slot.name()));
          assertThat(distance(e, f)).as(slot.name()).isLessThan(exact ? 2e-6 : compute == ScalarType.Half ? 5e-3 : 3e-2);
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

  static Parameters filled(ModelConfig config, ScalarType compute) {
    Parameters parameters = new Parameters(config, compute);
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
        101, 101, 39, 2, 3, 83, 101, new Position.Rotary(dims, 10000, false), residual, activation, 1e-5,
        ModelConfig.everywhere(2), true, true, true, false, tied, 0);
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
