package dev.jneox.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.jneox.dist.Layout;
import dev.jneox.dist.Partition;
import dev.jneox.model.ModelSpec;
import dev.jneox.model.Param;
import dev.jneox.model.ParamId;
import dev.jneox.model.Part;
import dev.jneox.torch.Collectives;
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
import java.util.concurrent.atomic.AtomicLong;
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
   * Bound of the relative difference of each tensor's gradient in fp32, for each block. Another
   * order of sums moves a product by a few units in the last place, of 6e-8; {@link
   * dev.jneox.torch.DividedAutogradTest} shows in fp64 that nothing else differs.
   */
  private static final double FP32 = 1e-6;

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
  private static Result undivided(Parameters parameters, boolean written, int micro) {
    try (GradientStep step =
        written ? GradientStep.of(parameters, false) : new AutogradStep(parameters, false)) {
      parameters.clearGradients();
      double loss = 0;
      for (GradientStep.Batch batch : batches(parameters.spec(), micro)) {
        loss += step.gradient(batch, 1.0 / micro) / micro;
      }
      return new Result(loss, RankThreads.values(parameters, parameters.gradients()));
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
        RankThreads.run(
            layout,
            (shard, tensor, pipeline) -> {
              try (Parameters parameters =
                      new Parameters(shard, compute, carrier, Device.CPU, onHost);
                  GradientStep step =
                      GradientStep.of(
                          parameters, recompute, tensor, new RendezvousSends(pipeline))) {
                parameters.load(whole.weights());
                List<GradientStep.Batch> batches = batches(whole.spec(), micro);
                double evaluated = 0;
                for (GradientStep.Batch batch : batches) {
                  evaluated += step.loss(batch) / micro;
                }
                double loss = step.gradient(batches, 1.0 / micro, GradientStep.ReadyListener.NONE);
                return new RankResult(
                    loss, evaluated, RankThreads.values(parameters, parameters.gradients()));
              }
            });
    for (RankResult result : results) {
      assertThat(result.loss).isEqualTo(results.getFirst().loss);
      assertThat(result.evaluated).isCloseTo(result.loss, within(1e-5));
    }
    List<Map<ParamId, float[]>> gradients = results.stream().map(RankResult::gradient).toList();
    assertCopiesAreEqual(gradients, layout);
    return new Result(results.getFirst().loss, RankThreads.gathered(layout, gradients));
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
    return Arrays.stream(DividedModel.values())
        .flatMap(model -> Stream.of(1, 2, 4).map(tensor -> Arguments.of(model, tensor)));
  }

  @ParameterizedTest
  @MethodSource("tensorLayouts")
  void tensorRanksGiveTheGradientOfTheWhole(DividedModel model, int tensor) throws Exception {
    Layout layout = Layout.of(model.spec, tensor, 1, 1, Partition.UNIFORM);
    try (Parameters whole = whole(model.spec)) {
      for (boolean written : new boolean[] {true, false}) {
        Result expected = undivided(whole, written, 2);
        for (boolean recompute : new boolean[] {false, true}) {
          Result found = divided(layout, whole, Dtype.F32, Dtype.F32, written, recompute, 2);
          assertClose(found, expected, model.spec, FP32 * model.spec.layers());
          if (tensor == 1) {
            assertSame(found, expected);
          }
        }
      }
    }
  }

  /**
   * What the written-out step exchanges: of [tokens, H] one sum for the embedding and one for the
   * head, and of each block two where it is parallel, four where it is serial.
   */
  @ParameterizedTest
  @EnumSource(DividedModel.class)
  void ranksExchangeWhatTheFormulaSays(DividedModel model) throws Exception {
    Layout layout = Layout.of(model.spec, 2, 1, 1, Partition.UNIFORM);
    GradientStep.Batch batch = batches(model.spec, 1).getFirst();
    List<Long> sent =
        RankThreads.run(
            layout,
            (shard, tensor, pipeline) -> {
              AtomicLong numbers = new AtomicLong();
              Collectives counting = new CountingCollectives(tensor, numbers);
              try (Parameters parameters = new Parameters(shard, Dtype.F32, Device.CPU);
                  GradientStep step = GradientStep.of(parameters, false, counting, pipeline)) {
                step.gradient(batch, 1);
                return numbers.get();
              }
            });
    long tokens = batch.inputs().length;
    long width = model.spec.width();
    boolean serial = model.spec.first().residual().isSerial();
    long ofBlock = serial ? 4 * tokens * width : (2 * tokens + 4) * width;
    long expected = 2 * tokens * width + model.spec.layers() * ofBlock + 3 * tokens;
    assertThat(sent).containsExactly(expected, expected);
  }

  static Stream<Arguments> pipelines() {
    List<Arguments> all = new ArrayList<>();
    for (DividedModel model : DividedModel.values()) {
      all.add(Arguments.of(model, 1, 2, 1, 3));
      all.add(Arguments.of(model, 1, 4, 1, 2));
      all.add(Arguments.of(model, 2, 2, 1, 4));
      all.add(Arguments.of(model, 4, 2, 1, 1));
      all.add(Arguments.of(model, 2, 4, 1, 6));
      all.add(Arguments.of(model, 1, 2, 2, 4));
      all.add(Arguments.of(model, 2, 2, 2, 2));
    }
    return all.stream();
  }

  @ParameterizedTest
  @MethodSource("pipelines")
  void stagesGiveTheGradientOfTheWhole(
      DividedModel model, int tensor, int stages, int chunks, int micro) throws Exception {
    Layout layout = Layout.of(model.spec, tensor, stages, chunks, Partition.UNIFORM);
    try (Parameters whole = whole(model.spec)) {
      for (boolean written : new boolean[] {true, false}) {
        Result expected = undivided(whole, written, micro);
        for (boolean recompute : new boolean[] {false, true}) {
          Result found = divided(layout, whole, Dtype.F32, Dtype.F32, written, recompute, micro);
          assertClose(found, expected, model.spec, FP32 * model.spec.layers());
          // Stages without tensor ranks add the same numbers in the same order; but to a tied
          // matrix they add those of the head and those of the embedding apart.
          if (tensor == 1 && !model.spec.head().tied()) {
            assertSame(found, expected);
          }
        }
      }
    }
  }

  /** Each stage hears of its parts once, and what it hears of changes no more. */
  @ParameterizedTest
  @EnumSource(DividedModel.class)
  void stagesSayWhenGradientsAreReady(DividedModel model) throws Exception {
    Layout layout = Layout.of(model.spec, 1, 2, 1, Partition.UNIFORM);
    List<List<String>> heard =
        RankThreads.run(
            layout,
            (shard, tensor, pipeline) -> {
              List<String> events = new ArrayList<>();
              Map<ParamId, float[]> ready = new LinkedHashMap<>();
              try (Parameters parameters = new Parameters(shard, Dtype.F32, Device.CPU);
                  GradientStep step = GradientStep.of(parameters, false, tensor, pipeline)) {
                new Initializer(0.2, 0.2).fill(parameters, 1);
                step.gradient(
                    batches(model.spec, 3),
                    1,
                    new GradientStep.ReadyListener() {
                      @Override
                      public void head() {
                        events.add("head");
                        keep(Part.FINAL_NORM, Part.HEAD);
                      }

                      @Override
                      public void block(int block) {
                        events.add("block " + block);
                      }

                      @Override
                      public void embedding() {
                        events.add("embedding");
                        keep(Part.EMBEDDING, Part.POSITIONS);
                      }

                      private void keep(Part... parts) {
                        for (Parameters.Slot slot : parameters.slots()) {
                          if (List.of(parts).contains(slot.id().part())) {
                            ready.put(slot.id(), parameters.gradients().floats(slot.id()));
                          }
                        }
                      }
                    });
                ready.forEach(
                    (id, gradient) ->
                        assertThat(parameters.gradients().floats(id))
                            .as(id.toString())
                            .isEqualTo(gradient));
              }
              return events;
            });
    assertThat(heard.get(0)).containsExactly("block 1", "block 0", "embedding");
    List<String> last = new ArrayList<>(List.of("head", "block 3", "block 2"));
    if (model.spec.head().tied()) {
      last.add("embedding");
    }
    assertThat(heard.get(1)).isEqualTo(last);
  }

  @Test
  void anInterleavedPipelineNeedsWholeGroups() {
    ModelSpec spec = DividedModel.NEOX.spec;
    Layout layout = Layout.of(spec, 1, 2, 2, Partition.UNIFORM);
    try (Parameters whole = whole(spec)) {
      assertThatThrownBy(() -> divided(layout, whole, Dtype.F32, Dtype.F32, true, false, 3))
          .hasMessage(
              "gradient_accumulation_steps: expected a multiple of the 2 stages of an interleaved"
                  + " pipeline, found 3");
    }
  }

  private static void assertSame(Result found, Result expected) {
    assertThat(found.loss).isEqualTo(expected.loss);
    expected.gradient.forEach(
        (id, gradient) -> assertThat(found.gradient.get(id)).as(id.toString()).isEqualTo(gradient));
  }

  /** In bf16 two ranks are as far from fp32 as one is: their sums are rounded once more. */
  @ParameterizedTest
  @EnumSource(DividedModel.class)
  void bf16IsAsCloseAsThatOfOneRank(DividedModel model) throws Exception {
    Layout one = Layout.whole(model.spec);
    Layout two = Layout.of(model.spec, 2, 1, 1, Partition.UNIFORM);
    try (Parameters whole = whole(model.spec)) {
      Result exact = undivided(whole, true, 1);
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
    ModelSpec spec = DividedModel.NEOX.spec;
    try (Parameters whole = whole(spec)) {
      Layout layout = Layout.of(spec, 2, 2, 1, Partition.UNIFORM);
      Result first = divided(layout, whole, Dtype.F32, Dtype.F32, true, false, 2);
      assertSame(divided(layout, whole, Dtype.F32, Dtype.F32, true, false, 2), first);
    }
  }

  @ParameterizedTest
  @EnumSource(DividedModel.class)
  void everyLayoutBeginsWithTheSameWeights(DividedModel model) throws Exception {
    Initializer initializer = new Initializer(0.2, 0.1);
    try (Parameters whole = new Parameters(model.spec, Dtype.F32)) {
      initializer.fill(whole, 7);
      Map<ParamId, float[]> expected = RankThreads.values(whole, whole.weights());
      for (int[] sizes : new int[][] {{1, 2}, {2, 1}, {2, 2}, {4, 4}}) {
        Layout layout = Layout.of(model.spec, sizes[0], sizes[1], 1, Partition.UNIFORM);
        List<Map<ParamId, float[]>> ofRanks =
            RankThreads.run(
                layout,
                (shard, tensor, pipeline) -> {
                  try (Parameters parameters = new Parameters(shard, Dtype.F32, Device.CPU)) {
                    initializer.fill(parameters, 7);
                    return RankThreads.values(parameters, parameters.weights());
                  }
                });
        Map<ParamId, float[]> found = RankThreads.gathered(layout, ofRanks);
        expected.forEach(
            (id, values) -> assertThat(found.get(id)).as(id.toString()).isEqualTo(values));
      }
    }
  }

  /** A rank that fails ends the others with an error. */
  @Test
  void aRankThatFailsEndsTheOthers() {
    ModelSpec spec = DividedModel.NEOX.spec;
    Layout layout = Layout.of(spec, 2, 2, 1, Partition.UNIFORM);
    List<String> ended = new ArrayList<>();
    Assertions.assertTimeoutPreemptively(
        Duration.ofSeconds(60),
        () ->
            assertThatThrownBy(
                    () ->
                        RankThreads.run(
                            layout,
                            (shard, tensor, pipeline) -> {
                              try (Parameters parameters =
                                      new Parameters(shard, Dtype.F32, Device.CPU);
                                  GradientStep step =
                                      GradientStep.of(parameters, false, tensor, pipeline)) {
                                if (shard.tensorRank() == 1 && shard.stage() == 1) {
                                  step.stop();
                                }
                                return step.gradient(
                                    batches(spec, 2), 1, GradientStep.ReadyListener.NONE);
                              } catch (RuntimeException e) {
                                synchronized (ended) {
                                  ended.add(e.getMessage());
                                }
                                throw e;
                              }
                            }))
                .isInstanceOf(RuntimeException.class));
    assertThat(ended).hasSize(4).contains("stopped");
    assertThat(ended.stream().filter(message -> message.endsWith("waits for a rank that has left")))
        .hasSize(3);
  }
}
