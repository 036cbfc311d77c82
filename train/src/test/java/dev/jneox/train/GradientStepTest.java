package dev.jneox.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;
import static org.assertj.core.api.Assertions.withinPercentage;

import dev.jneox.dist.Shard;
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
import dev.jneox.model.Position;
import dev.jneox.model.Residual;
import dev.jneox.model.Vocabulary;
import dev.jneox.torch.Device;
import dev.jneox.torch.Matrix;
import dev.jneox.weights.CanonicalNames;
import dev.jneox.weights.Dtype;
import dev.jneox.weights.TensorExpression;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.Function;
import java.util.function.Predicate;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The written-out step against autograd over the reference model, on odd sizes. */
@Tag("slow")
class GradientStepTest {
  private static final Norm LAYER = new Norm.Layer(1e-5);
  private static final Norm RMS = new Norm.Rms(1e-6);

  private enum Join {
    SERIAL,
    PARALLEL,
    ONE_NORM;

    Residual of(Norm first, Norm second) {
      return switch (this) {
        case SERIAL -> new Residual.Serial(first, second);
        case PARALLEL -> new Residual.Parallel(first, second);
        case ONE_NORM -> new Residual.ParallelOneNorm(first);
      };
    }
  }

  @ParameterizedTest
  @CsvSource({
    "PARALLEL, GELU, false, 0.2, F32, false",
    "PARALLEL, GELU_TANH, true, 1.0, F32, true",
    "SERIAL, GELU_TANH, false, 0.5, F32, false",
    "SERIAL, GELU, true, 0.2, F32, true",
    "PARALLEL, SILU, false, 0.2, F32, false",
    "PARALLEL, GELU_TANH, false, 0.2, BF16, false",
    "SERIAL, GELU, false, 0.2, BF16, true",
    "PARALLEL, GELU, false, 0.2, F16, false",
  })
  void givesAutogradsGradients(
      Join join,
      Activation activation,
      boolean tied,
      double pct,
      Dtype compute,
      boolean recompute) {
    givesAutogradsGradients(neox(join, activation, tied, pct), compute, recompute);
  }

  /** What GPT-NeoX has not, alone and as the other families have it together. */
  static List<Arguments> others() {
    Attention gptj =
        Attention.of(3, 13, new Position.Rotary(6, 10000, true)).withBiases(false, false);
    Attention learned = Attention.of(3, 13, new Position.None());
    Attention neo = learned.withScale(1).withBiases(false, true);
    Attention turned = Attention.of(3, 13, new Position.Rotary(4, 100, false));
    Attention oneNorm = Attention.of(3, 13, new Position.Rotary(12, 77, true)).withScale(1);
    return List.of(
        Arguments.of("GPT-J", spec(Join.ONE_NORM, gptj, false, false, true, 0, 0)),
        Arguments.of("GPT-2", spec(Join.SERIAL, learned, true, true, false, 0, 0)),
        Arguments.of("GPT-Neo", spec(Join.SERIAL, neo, true, true, false, 0, 49)),
        Arguments.of("GPT-3", spec(Join.SERIAL, learned, true, true, false, 0, 17)),
        Arguments.of(
            "windows of 1 and 48", spec(Join.PARALLEL, turned, false, false, false, 1, 48)),
        Arguments.of(
            "windows larger than the text",
            spec(Join.PARALLEL, learned.withBiases(true, false), true, true, true, 100, 1000)),
        Arguments.of("one norm, tied", spec(Join.ONE_NORM, oneNorm, false, true, true, 7, 0)));
  }

  private static ModelSpec spec(
      Join join,
      Attention attention,
      boolean learned,
      boolean tied,
      boolean headBias,
      int... windows) {
    BlockSpec block =
        new BlockSpec(
            join.of(LAYER, LAYER),
            attention,
            new FeedForward.Plain(83, Activation.GELU_TANH, true));
    return new ModelSpec(
        Vocabulary.of(101, 0),
        39,
        new Embedding(learned),
        Arrays.stream(windows)
            .mapToObj(window -> block.withAttention(attention.withWindow(window)))
            .toList(),
        LAYER,
        new Head(tied, headBias),
        101);
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("others")
  void givesAutogradsGradientsOfTheOtherFamilies(String name, ModelSpec spec) {
    boolean gpt3 = name.equals("GPT-3");
    givesAutogradsGradients(spec, Dtype.F32, gpt3);
    givesAutogradsGradients(spec, Dtype.BF16, !gpt3);
  }

  /** Llama's parts, as it has them together. */
  static ModelSpec llama() {
    return ModelSpec.of(
        Vocabulary.of(101, 0),
        39,
        new Embedding(false),
        2,
        new BlockSpec(
            new Residual.Serial(RMS, RMS),
            Attention.of(4, 10, new Position.Rotary(10, 10000, false))
                .withKvHeads(2)
                .withBiases(false, false),
            new FeedForward.Gated(29, Activation.SILU, false)),
        new Head(false, false),
        101);
  }

  @ParameterizedTest
  @CsvSource({"F32, false", "F32, true", "BF16, false", "BF16, true", "F16, false"})
  void givesAutogradsGradientsOfLlama(Dtype compute, boolean recompute) {
    givesAutogradsGradients(llama(), compute, recompute);
  }

  /** Models of parts drawn at random; both blocks have parts and sizes of their own. */
  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12})
  void givesAutogradsGradientsWhateverThePartsAre(long seed) {
    Random random = new Random(seed);
    ModelSpec spec = random(random);
    givesAutogradsGradients(spec, Dtype.F32, random.nextBoolean());
    givesAutogradsGradients(spec, Dtype.BF16, random.nextBoolean());
  }

  private static ModelSpec random(Random random) {
    return new ModelSpec(
        Vocabulary.of(101, 0),
        39,
        new Embedding(random.nextBoolean()),
        List.of(randomBlock(random), randomBlock(random)),
        random.nextBoolean() ? LAYER : RMS,
        new Head(random.nextBoolean(), random.nextBoolean()),
        101);
  }

  private static BlockSpec randomBlock(Random random) {
    int kvHeads = 1 + random.nextInt(3);
    int headDim = 2 * (3 + random.nextInt(6)) + random.nextInt(2);
    Position position =
        random.nextInt(4) == 0
            ? new Position.None()
            : new Position.Rotary(
                2 * (1 + random.nextInt(headDim / 2)), 1000, random.nextBoolean());
    Attention attention =
        Attention.of(kvHeads * (1 + random.nextInt(3)), headDim, position)
            .withKvHeads(kvHeads)
            .withWindow(random.nextBoolean() ? 0 : 1 + random.nextInt(120))
            .withBiases(random.nextBoolean(), random.nextBoolean());
    int wide = 30 + random.nextInt(70);
    Activation activation = Activation.values()[random.nextInt(Activation.values().length)];
    boolean bias = random.nextBoolean();
    return new BlockSpec(
        Join.values()[random.nextInt(3)].of(
            random.nextBoolean() ? LAYER : RMS, random.nextBoolean() ? LAYER : RMS),
        attention,
        random.nextBoolean()
            ? new FeedForward.Gated(wide, activation, bias)
            : new FeedForward.Plain(wide, activation, bias));
  }

  private static void givesAutogradsGradients(ModelSpec spec, Dtype compute, boolean recompute) {
    givesAutogradsGradients(spec, compute, compute, recompute);
    if (compute != Dtype.F32) {
      givesAutogradsGradients(spec, compute, Dtype.F32, recompute);
    }
  }

  private static void givesAutogradsGradients(
      ModelSpec spec, Dtype compute, Dtype carrier, boolean recompute) {
    GradientStep.Batch batch = batch(spec, 2, 101, 11);
    try (Parameters slow = filled(spec, Dtype.F32, Dtype.F32);
        Parameters fast = filled(spec, compute, carrier)) {
      double scale = 0.5;
      try (GradientStep autograd = new AutogradStep(slow, recompute);
          GradientStep step = GradientStep.of(fast, recompute)) {
        boolean exact = compute == Dtype.F32;
        // Scores that are not scaled are large, and so is what their rounding does to a
        // probability.
        double sharp = spec.blocks().stream().allMatch(b -> b.attention().isScaled()) ? 1 : 4;
        for (int micro = 0; micro < 2; micro++) {
          double expected = autograd.gradient(batch, scale);
          assertThat(step.gradient(batch, scale)).isCloseTo(expected, within(exact ? 2e-6 : 3e-2));
        }
        assertThat(step.loss(batch)).isCloseTo(autograd.loss(batch), within(exact ? 2e-6 : 3e-2));
        // Query, key and value together: alone a gradient may be zero, and then all is rounding.
        for (TensorExpression tensor : CanonicalNames.of(spec)) {
          float[] e = gradient(slow, tensor);
          float[] f = gradient(fast, tensor);
          assertThat(distance(e, f))
              .as(tensor.name() + " of " + spec)
              .isLessThan(sharp * (exact ? 2e-6 : compute == Dtype.F16 ? 5e-3 : 3e-2));
        }
      }
    }
  }

  private static float[] gradient(Parameters parameters, TensorExpression tensor) {
    try (Arena arena = Arena.ofConfined()) {
      return parameters.gradients().read(tensor, arena).floats();
    }
  }

  enum Kind {
    WRITTEN_OUT(parameters -> GradientStep.of(parameters, false)),
    AUTOGRAD(parameters -> new AutogradStep(parameters, false)),
    AUTOGRAD_RECOMPUTED(parameters -> new AutogradStep(parameters, true));

    private final Function<Parameters, GradientStep> step;

    Kind(Function<Parameters, GradientStep> step) {
      this.step = step;
    }
  }

  /** What a listener hears is in order, and what it hears of changes no more. */
  @ParameterizedTest
  @CsvSource({
    "true, WRITTEN_OUT", "true, AUTOGRAD", "true, AUTOGRAD_RECOMPUTED",
    "false, WRITTEN_OUT", "false, AUTOGRAD", "false, AUTOGRAD_RECOMPUTED"
  })
  void saysWhenGradientsAreReady(boolean tied, Kind kind) {
    ModelSpec spec = llama().withHead(new Head(tied, false));
    try (Parameters parameters = filled(spec, Dtype.F32, Dtype.F32);
        GradientStep step = kind.step.apply(parameters)) {
      List<String> heard = new ArrayList<>();
      Map<ParamId, float[]> ready = new LinkedHashMap<>();
      GradientStep.ReadyListener listener =
          new GradientStep.ReadyListener() {
            @Override
            public void head() {
              heard.add("head");
              keep(id -> id.part() == Part.FINAL_NORM || id.part() == Part.HEAD);
            }

            @Override
            public void block(int block) {
              heard.add("block " + block);
              keep(id -> id.block() == block);
            }

            @Override
            public void embedding() {
              heard.add("embedding");
              keep(id -> id.part() == Part.EMBEDDING);
            }

            private void keep(Predicate<ParamId> which) {
              for (Parameters.Slot slot : parameters.slots()) {
                if (which.test(slot.id())) {
                  float[] gradient = parameters.gradients().floats(slot.id());
                  assertThat(gradient)
                      .as(slot.id().toString())
                      .isNotEqualTo(new float[gradient.length]);
                  ready.put(slot.id(), gradient);
                }
              }
            }
          };
      step.gradient(batch(spec, 2, 31, 3), 1, listener);
      assertThat(heard).containsExactly("head", "block 1", "block 0", "embedding");
      assertThat(ready).hasSize(parameters.slots().size());
      ready.forEach(
          (id, gradient) ->
              assertThat(parameters.gradients().floats(id)).as(id.toString()).isEqualTo(gradient));
    }
  }

  /** A step of equal micro-batches: the listener hears of the last one alone. */
  @Test
  void aListenerHearsOfTheLastMicroBatch() {
    ModelSpec spec = llama();
    GradientStep.Batch batch = batch(spec, 1, 7, 3);
    try (Parameters parameters = filled(spec, Dtype.F32, Dtype.F32);
        GradientStep step = GradientStep.of(parameters, false)) {
      List<String> heard = new ArrayList<>();
      double loss =
          step.gradient(
              List.of(batch, batch, batch),
              0.25,
              new GradientStep.ReadyListener() {
                @Override
                public void head() {
                  heard.add("head");
                }
              });
      assertThat(heard).containsExactly("head");
      assertThat(loss).isCloseTo(step.loss(batch), within(1e-9));
    }
  }

  /** On the CPU, the way of the other devices: autograd and AdamW by libtorch, over one tensor. */
  @ParameterizedTest
  @CsvSource({"F32, false", "F32, true", "BF16, false", "F16, true"})
  void theStepOfTheDevicesTrainsAsTheWrittenOutOne(Dtype compute, boolean recompute) {
    ModelSpec spec = neox(Join.PARALLEL, Activation.GELU, false, 0.5);
    GradientStep.Batch batch = batch(spec, 2, 31, 11);
    boolean exact = compute == Dtype.F32;
    try (Parameters host = filled(spec, compute, compute);
        Parameters device =
            filled(new Parameters(Shard.whole(spec), compute, compute, Device.CPU, false));
        GradientStep written = GradientStep.of(host, recompute);
        GradientStep libtorch = GradientStep.of(device, recompute)) {
      assertThat(written).isInstanceOf(CpuStep.class);
      assertThat(libtorch).isInstanceOf(AutogradStep.class);
      // A gradient that is all rounding, as of a key's bias, must not become a step of lr.
      AdamW adam = new AdamW(host, 0.9, 0.95, 1e-3, 0.1);
      AdamW other = new AdamW(device, 0.9, 0.95, 1e-3, 0.1);
      double first = written.loss(batch);
      for (int step = 0; step < 8; step++) {
        for (int micro = 0; micro < 2; micro++) {
          assertThat(libtorch.gradient(batch, 0.5))
              .as("step %d", step)
              .isCloseTo(written.gradient(batch, 0.5), within(exact ? 1e-4 : 3e-2));
        }
        double norm = adam.gradientNorm();
        assertThat(other.gradientNorm()).isCloseTo(norm, withinPercentage(exact ? 0.01 : 3));
        adam.step(1e-2, Math.min(1, 1 / norm));
        other.step(1e-2, Math.min(1, 1 / norm));
        assertThat(other.steps()).isEqualTo(step + 1);
        assertThat(other.gradientNorm()).isZero();
      }
      assertThat(written.loss(batch)).isLessThan(first - 0.5);
      for (Parameters.Slot slot : host.slots()) {
        assertThat(distance(host.weights().floats(slot.id()), device.weights().floats(slot.id())))
            .as(slot.id().toString())
            .isLessThan(exact ? 1e-4 : 3e-2);
      }
      libtorch.gradient(batch, 1);
      assertThat(other.gradientNorm()).isPositive();
      device.clearGradients();
      assertThat(other.gradientNorm()).isZero();
    }
  }

  /**
   * The same numbers are multiplied whatever carries them: only the order of sums differs, and then
   * here and there a rounding.
   */
  @ParameterizedTest
  @CsvSource({"PARALLEL, BF16", "SERIAL, BF16", "ONE_NORM, BF16", "PARALLEL, F16", "SERIAL, F16"})
  void fp32CarriesTheNumbersOfSixteenBits(Join join, Dtype compute) {
    ModelSpec spec = neox(join, Activation.GELU, false, 0.5);
    GradientStep.Batch batch = batch(spec, 2, 101, 11);
    double precision = compute == Dtype.F16 ? 0x1p-11 : 0x1p-8;
    try (Parameters own = filled(spec, compute, compute);
        Parameters carried = filled(spec, compute, Dtype.F32);
        GradientStep ownStep = GradientStep.of(own, false);
        GradientStep carriedStep = GradientStep.of(carried, false)) {
      assertThat(carriedStep.gradient(batch, 1))
          .isCloseTo(ownStep.gradient(batch, 1), within(precision));
      for (Parameters.Slot slot : own.slots()) {
        float[] expected = own.gradients().floats(slot.id());
        assertThat(distance(expected, carried.gradients().floats(slot.id())))
            .as(slot.id().toString())
            .isLessThan(3 * precision);
        write(carried.gradients(), slot, expected);
      }
      for (Parameters parameters : List.of(own, carried)) {
        new AdamW(parameters, 0.9, 0.95, 1e-8, 0.1).step(0.01, 1);
      }
      for (Parameters.Slot slot : own.slots()) {
        if (slot.decays()) { // a matrix
          Matrix expected = own.computeMatrix(slot.id());
          Matrix found = carried.computeMatrix(slot.id());
          assertThat(found.data().byteSize()).isEqualTo(4 * slot.size());
          assertThat(floats(found)).as(slot.id().toString()).isEqualTo(floats(expected));
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

  private static float[] floats(Matrix matrix) {
    float[] values = new float[matrix.rows * matrix.cols];
    float[] row = new float[matrix.cols];
    for (int r = 0; r < matrix.rows; r++) {
      matrix.load(r, row);
      System.arraycopy(row, 0, values, r * row.length, row.length);
    }
    return values;
  }

  private static void write(Parameters.Flat flat, Parameters.Slot slot, float[] values) {
    flat.write(List.of(slot.param()), data -> data.copyFrom(MemorySegment.ofArray(values)));
  }

  static Parameters filled(ModelSpec spec, Dtype compute, Dtype carrier) {
    return filled(new Parameters(Shard.whole(spec), compute, carrier, Device.CPU, true));
  }

  private static Parameters filled(Parameters parameters) {
    new Initializer(0.2, 0.2).fill(parameters, 5);
    // Biases of zero and norms of one would hide mistakes.
    Random random = new Random(9);
    for (Parameters.Slot slot : parameters.slots()) {
      if (!slot.decays()) {
        float[] values = parameters.weights().floats(slot.id());
        for (int i = 0; i < values.length; i++) {
          values[i] += (float) (0.1 * random.nextGaussian());
        }
        write(parameters.weights(), slot, values);
      }
    }
    parameters.refresh();
    return parameters;
  }

  private static ModelSpec neox(Join join, Activation activation, boolean tied, double pct) {
    int dims = (int) (13 * pct) / 2 * 2;
    return ModelSpec.of(
        Vocabulary.of(101, 0),
        39,
        new Embedding(false),
        2,
        new BlockSpec(
            join.of(LAYER, LAYER),
            Attention.of(3, 13, new Position.Rotary(dims, 10000, false)),
            new FeedForward.Plain(83, activation, true)),
        new Head(tied, false),
        101);
  }

  static GradientStep.Batch batch(ModelSpec spec, int sequences, int length, long seed) {
    Random random = new Random(seed);
    int n = sequences * length;
    int[] inputs = random.ints(n, 0, spec.vocabulary().rows()).toArray();
    int[] labels = random.ints(n, 0, spec.vocabulary().rows()).toArray();
    labels[4] = -100;
    float[] weights = new float[n];
    for (int i = 0; i < n; i++) {
      weights[i] = i % 5 == 0 ? 0 : 1 + i % 3;
    }
    return new GradientStep.Batch(inputs, labels, weights, sequences, length);
  }
}
