package dev.jneox.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.jneox.dist.Layout;
import dev.jneox.dist.Partition;
import dev.jneox.model.Activation;
import dev.jneox.model.Attention;
import dev.jneox.model.BlockSpec;
import dev.jneox.model.Embedding;
import dev.jneox.model.FeedForward;
import dev.jneox.model.Head;
import dev.jneox.model.ModelSpec;
import dev.jneox.model.Norm;
import dev.jneox.model.Param;
import dev.jneox.model.ParamId;
import dev.jneox.model.Position;
import dev.jneox.model.Residual;
import dev.jneox.model.Vocabulary;
import dev.jneox.torch.Device;
import dev.jneox.weights.CanonicalNames;
import dev.jneox.weights.Dtype;
import dev.jneox.weights.TensorExpression;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** A step of a divided model against that of the whole one, ranks as threads. */
@Tag("slow")
class ParallelStepTest {
  /**
   * Bound of the relative difference of each tensor's gradient in fp32. Another order of sums moves
   * a product by a few units in the last place (6e-8), each block once.
   */
  private static final double FP32 = 2e-6;

  private static final Norm LAYER = new Norm.Layer(1e-5);
  private static final Norm RMS = new Norm.Rms(1e-6);
  private static final Attention ROTARY = Attention.of(4, 10, new Position.Rotary(4, 10000, false));
  private static final Attention LEARNED = Attention.of(4, 10, new Position.None());

  /** Small models of every kind of block, whose parts four ranks can share. */
  enum Model {
    NEOX(new Residual.Parallel(LAYER, LAYER), ROTARY, plain(true), false, new Head(false, false)),
    GPT2(new Residual.Serial(LAYER, LAYER), LEARNED, plain(true), true, new Head(true, false)),
    GPTJ(
        new Residual.ParallelOneNorm(LAYER),
        Attention.of(4, 10, new Position.Rotary(6, 10000, true)).withBiases(false, false),
        plain(true),
        false,
        new Head(false, true)),
    LLAMA(
        new Residual.Serial(RMS, RMS),
        Attention.of(8, 6, new Position.Rotary(6, 10000, false))
            .withKvHeads(4)
            .withBiases(false, false),
        new FeedForward.Gated(28, Activation.SILU, false),
        false,
        new Head(false, false)),
    MIXED(
        new Residual.Parallel(LAYER, RMS),
        LEARNED.withWindow(7),
        new FeedForward.Gated(28, Activation.GELU, true),
        true,
        new Head(true, true));

    final ModelSpec spec;

    Model(
        Residual residual,
        Attention attention,
        FeedForward feedForward,
        boolean learned,
        Head head) {
      spec =
          ModelSpec.of(
              Vocabulary.of(104, 0),
              36,
              new Embedding(learned),
              4,
              new BlockSpec(residual, attention, feedForward),
              head,
              64);
    }

    private static FeedForward plain(boolean bias) {
      return new FeedForward.Plain(92, Activation.GELU_TANH, bias);
    }
  }

  /** What a step gives: its loss, and the gradient of the whole model. */
  private record Result(double loss, Map<ParamId, float[]> gradient) {}

  private static Parameters whole(ModelSpec spec) {
    return GradientStepTest.filled(spec, Dtype.F32, Dtype.F32);
  }

  private static List<GradientStep.Batch> batches(ModelSpec spec, int micro) {
    List<GradientStep.Batch> batches = new ArrayList<>();
    for (int m = 0; m < micro; m++) {
      batches.add(GradientStepTest.batch(spec, 2, 23, m));
    }
    return batches;
  }

  /** The model as one rank computes it. */
  private static Result undivided(Parameters parameters, int micro) {
    try (GradientStep step = GradientStep.of(parameters, false)) {
      parameters.clearGradients();
      double loss = 0;
      for (GradientStep.Batch batch : batches(parameters.spec(), micro)) {
        loss += step.gradient(batch, 1.0 / micro) / micro;
      }
      return new Result(loss, Ranks.values(parameters, parameters.gradients()));
    }
  }

  private record RankResult(double loss, double evaluated, Map<ParamId, float[]> gradient) {}

  private static Result divided(
      Layout layout,
      Parameters whole,
      Dtype compute,
      Dtype carrier,
      boolean onHost,
      boolean recompute,
      int micro)
      throws Exception {
    List<RankResult> results =
        Ranks.run(
            layout,
            (shard, tensor, pipeline) -> {
              try (Parameters parameters =
                      new Parameters(shard, compute, carrier, Device.CPU, onHost);
                  GradientStep step = GradientStep.of(parameters, recompute, tensor)) {
                parameters.load(whole.weights());
                List<GradientStep.Batch> batches = batches(whole.spec(), micro);
                double loss = 0;
                double evaluated = 0;
                for (GradientStep.Batch batch : batches) {
                  evaluated += step.loss(batch) / micro;
                  loss += step.gradient(batch, 1.0 / micro) / micro;
                }
                return new RankResult(
                    loss, evaluated, Ranks.values(parameters, parameters.gradients()));
              }
            });
    for (RankResult result : results) {
      assertThat(result.loss).isEqualTo(results.getFirst().loss);
      assertThat(result.evaluated).isCloseTo(result.loss, within(1e-5));
    }
    List<Map<ParamId, float[]>> gradients = results.stream().map(RankResult::gradient).toList();
    assertCopiesAreEqual(gradients, layout);
    return new Result(results.getFirst().loss, Ranks.gathered(layout, gradients));
  }

  /** What several ranks have is the same on all of them. */
  private static void assertCopiesAreEqual(List<Map<ParamId, float[]>> gradients, Layout layout) {
    Map<ParamId, float[]> seen = new LinkedHashMap<>();
    for (int r = 0; r < gradients.size(); r++) {
      var shard = layout.shard(r % layout.tensor(), r / layout.tensor());
      gradients
          .get(r)
          .forEach(
              (id, gradient) -> {
                float[] first = seen.putIfAbsent(id, gradient);
                if (first != null && shard.place(id).isWhole()) {
                  assertThat(gradient).as(id.toString()).isEqualTo(first);
                }
              });
    }
  }

  private static void assertClose(Result found, Result expected, ModelSpec spec, double bound) {
    assertThat(found.loss).isCloseTo(expected.loss, within(bound));
    for (TensorExpression tensor : CanonicalNames.of(spec)) {
      assertThat(distance(found, expected, tensor)).as(tensor.name()).isLessThan(bound);
    }
  }

  /**
   * The relative difference of two gradients of a tensor. Query, key and value are one: alone a
   * gradient may be zero, and then all is rounding.
   */
  private static double distance(Result found, Result expected, TensorExpression tensor) {
    double difference = 0;
    double norm = 0;
    for (Param param : tensor.params()) {
      float[] a = expected.gradient.get(param.id());
      float[] b = found.gradient.get(param.id());
      for (int i = 0; i < a.length; i++) {
        difference += (a[i] - b[i]) * (double) (a[i] - b[i]);
        norm += a[i] * (double) a[i];
      }
    }
    return Math.sqrt(difference / norm);
  }

  static Stream<Arguments> tensorLayouts() {
    return Arrays.stream(Model.values())
        .flatMap(model -> Stream.of(1, 2, 4).map(tensor -> Arguments.of(model, tensor)));
  }

  @ParameterizedTest
  @MethodSource("tensorLayouts")
  void tensorRanksGiveTheGradientOfTheWhole(Model model, int tensor) throws Exception {
    Layout layout = Layout.of(model.spec, tensor, 1, 1, Partition.UNIFORM);
    try (Parameters whole = whole(model.spec)) {
      Result expected = undivided(whole, 2);
      for (boolean recompute : new boolean[] {false, true}) {
        Result found = divided(layout, whole, Dtype.F32, Dtype.F32, true, recompute, 2);
        assertClose(found, expected, model.spec, FP32);
        if (tensor == 1) {
          assertSame(found, expected);
        }
      }
    }
  }

  private static void assertSame(Result found, Result expected) {
    assertThat(found.loss).isEqualTo(expected.loss);
    expected.gradient.forEach(
        (id, gradient) -> assertThat(found.gradient.get(id)).as(id.toString()).isEqualTo(gradient));
  }

  /** In bf16 two ranks are as far from fp32 as one is: their sums are rounded once more. */
  @ParameterizedTest
  @EnumSource(Model.class)
  void bf16IsAsCloseAsThatOfOneRank(Model model) throws Exception {
    Layout one = Layout.whole(model.spec);
    Layout two = Layout.of(model.spec, 2, 1, 1, Partition.UNIFORM);
    try (Parameters whole = whole(model.spec)) {
      Result exact = undivided(whole, 1);
      for (Dtype carrier : new Dtype[] {Dtype.BF16, Dtype.F32}) {
        Result ofOne = divided(one, whole, Dtype.BF16, carrier, true, false, 1);
        Result ofTwo = divided(two, whole, Dtype.BF16, carrier, true, false, 1);
        assertThat(ofTwo.loss).isCloseTo(exact.loss, within(3e-2));
        for (TensorExpression tensor : CanonicalNames.of(model.spec)) {
          assertThat(distance(ofTwo, exact, tensor))
              .as(tensor.name())
              .isLessThan(2 * distance(ofOne, exact, tensor));
        }
      }
    }
  }

  @Test
  void theSameLayoutGivesTheSameBits() throws Exception {
    ModelSpec spec = Model.NEOX.spec;
    try (Parameters whole = whole(spec)) {
      Layout layout = Layout.of(spec, 2, 1, 1, Partition.UNIFORM);
      Result first = divided(layout, whole, Dtype.F32, Dtype.F32, true, false, 2);
      assertSame(divided(layout, whole, Dtype.F32, Dtype.F32, true, false, 2), first);
    }
  }

  @ParameterizedTest
  @EnumSource(Model.class)
  void everyLayoutBeginsWithTheSameWeights(Model model) throws Exception {
    Initializer initializer = new Initializer(0.2, 0.1);
    try (Parameters whole = new Parameters(model.spec, Dtype.F32)) {
      initializer.fill(whole, 7);
      Map<ParamId, float[]> expected = Ranks.values(whole, whole.weights());
      for (int[] sizes : new int[][] {{1, 2}, {2, 1}, {2, 2}, {4, 4}}) {
        Layout layout = Layout.of(model.spec, sizes[0], sizes[1], 1, Partition.UNIFORM);
        List<Map<ParamId, float[]>> ofRanks =
            Ranks.run(
                layout,
                (shard, tensor, pipeline) -> {
                  try (Parameters parameters = new Parameters(shard, Dtype.F32, Device.CPU)) {
                    initializer.fill(parameters, 7);
                    return Ranks.values(parameters, parameters.weights());
                  }
                });
        Map<ParamId, float[]> found = Ranks.gathered(layout, ofRanks);
        expected.forEach(
            (id, values) -> assertThat(found.get(id)).as(id.toString()).isEqualTo(values));
      }
    }
  }

  /** A rank that fails ends the others with an error. */
  @Test
  void aRankThatFailsEndsTheOthers() {
    ModelSpec spec = Model.NEOX.spec;
    Layout layout = Layout.of(spec, 4, 1, 1, Partition.UNIFORM);
    List<String> ended = new ArrayList<>();
    Assertions.assertTimeoutPreemptively(
        Duration.ofSeconds(60),
        () ->
            assertThatThrownBy(
                    () ->
                        Ranks.run(
                            layout,
                            (shard, tensor, pipeline) -> {
                              try (Parameters parameters =
                                      new Parameters(shard, Dtype.F32, Device.CPU);
                                  GradientStep step = GradientStep.of(parameters, false, tensor)) {
                                if (shard.tensorRank() == 2) {
                                  step.stop();
                                }
                                return step.gradient(batches(spec, 1).getFirst(), 1);
                              } catch (RuntimeException e) {
                                synchronized (ended) {
                                  ended.add(e.getMessage());
                                }
                                throw e;
                              }
                            }))
                .isInstanceOf(RuntimeException.class));
    assertThat(ended)
        .containsExactlyInAnyOrder(
            "stopped",
            "group tensor: rank 0 waits for a rank that has left",
            "group tensor: rank 1 waits for a rank that has left",
            "group tensor: rank 3 waits for a rank that has left");
  }
}
