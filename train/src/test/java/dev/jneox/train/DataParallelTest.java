package dev.jneox.train;

import static dev.jneox.train.ToyTraining.all;
import static dev.jneox.train.ToyTraining.assertSameBits;
import static dev.jneox.train.ToyTraining.concat;
import static dev.jneox.train.ToyTraining.numbers;
import static dev.jneox.train.ToyTraining.started;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.jneox.data.IndexedDatasetWriter;
import dev.jneox.dist.Mesh;
import dev.jneox.dist.Ranks;
import dev.jneox.dist.Shard;
import dev.jneox.io.InputException;
import dev.jneox.torch.Device;
import dev.jneox.train.ToyTraining.Run;
import dev.jneox.weights.Dtype;
import java.io.IOException;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Trains on several ranks, each a thread of this process, and compares with one. */
@Tag("slow")
class DataParallelTest {
  private static final int STEPS = ToyTraining.STEPS;

  /**
   * Bounds of rounding: the sums of gradients differ by their order, 2^-24 each. Adam divides by
   * the root of the second moment, so that a weight with a gradient near 0 takes it over at the
   * rate of a step. Found after 20 steps: losses 3e-8, weights 6e-5.
   */
  private static final double LOSS_BOUND = 1e-6;

  private static final double WEIGHT_BOUND = 5e-4;

  @TempDir Path dir;
  private ToyTraining toy;

  @BeforeEach
  void writeData() throws IOException {
    toy = ToyTraining.write(dir);
  }

  private NeoxConfig config(int ranks, String... sets) {
    return toy.config(ranks, sets);
  }

  /** Trains on threads and returns what each rank saw. */
  private List<Run> train(int ranks, String... sets) {
    return toy.train(new Mesh(1, ranks, 1), sets);
  }

  private static void assertClose(Run one, Run several) {
    ToyTraining.assertClose(one, several, LOSS_BOUND, WEIGHT_BOUND);
  }

  @ParameterizedTest
  @CsvSource({"2,0", "2,1", "4,0", "4,1"})
  void everyLayoutLearnsTheSame(int ranks, int stage) {
    Run one = train(1).getFirst();
    assertThat(one.steps()).hasSize(STEPS);
    assertThat(one.steps().getLast().loss()).isLessThan(one.steps().getFirst().loss() - 0.5);
    List<Run> several = train(ranks, "zero_optimization={stage: " + stage + "}");
    for (Run run : several) {
      assertSameBits(several.getFirst(), run);
    }
    assertClose(one, several.getFirst());
    // The first loss is computed before any sum of gradients: it has the same bits.
    assertThat(several.getFirst().steps().getFirst().loss())
        .isEqualTo(one.steps().getFirst().loss());
    assertSameBits(
        several.getFirst(), train(ranks, "zero_optimization={stage: " + stage + "}").getFirst());
  }

  @ParameterizedTest
  @CsvSource({"fp16,0", "fp16,1", "bfloat16,1"})
  void roundedProductsToo(String precision, int stage) {
    String[] sets = {
      "precision=" + precision, "zero_optimization={stage: " + stage + "}", "train_iters=12"
    };
    Run one = train(1, sets).getFirst();
    List<Run> two = train(2, sets);
    assertSameBits(two.getFirst(), two.getLast());
    // A dynamic loss scale overflows in the first steps on every rank alike.
    assertThat(two.getFirst().steps().stream().map(Trainer.Step::skipped).toList())
        .isEqualTo(one.steps().stream().map(Trainer.Step::skipped).toList());
    assertThat(two.getFirst().steps().getLast().loss())
        .isCloseTo(one.steps().getLast().loss(), within(0.02));
  }

  @Test
  void aRunGoesOnInAnyLayout() throws IOException {
    String[] saved = {"save=" + dir.resolve("run"), "load=" + dir.resolve("run")};
    String[] zero = {"zero_optimization={stage: 1}", "zero_optimization={stage: 0}"};
    Run whole = train(1).getFirst();
    Run first = train(2, concat(saved, zero[0], "exit_interval=7")).getFirst();
    Run second = train(1, concat(saved, "exit_interval=14")).getFirst();
    Run third = train(4, concat(saved, zero[0])).getFirst();
    List<Trainer.Step> steps = new ArrayList<>(first.steps());
    steps.addAll(second.steps());
    steps.addAll(third.steps());
    assertThat(third.notes()).isEmpty();
    assertThat(steps.stream().map(Trainer.Step::iteration).toList())
        .isEqualTo(whole.steps().stream().map(Trainer.Step::iteration).toList());
    for (int s = 0; s < STEPS; s++) {
      assertThat(steps.get(s).loss()).isCloseTo(whole.steps().get(s).loss(), within(LOSS_BOUND));
    }
    assertThat(Files.readAllLines(dir.resolve("run/metrics.csv"))).hasSize(STEPS + 1);
  }

  @ParameterizedTest
  @CsvSource({"0", "1"})
  void theSameLayoutGoesOnToTheBit(int stage) {
    String zero = "zero_optimization={stage: " + stage + "}";
    String[] saved = {"save=" + dir.resolve("run"), "load=" + dir.resolve("run"), zero};
    Run whole = train(2, zero).getFirst();
    train(2, concat(saved, "exit_interval=9"));
    Run rest = train(2, saved).getFirst();
    assertThat(rest.steps()).hasSize(STEPS - 9);
    assertThat(numbers(rest)).isEqualTo(numbers(whole).subList(9, STEPS));
    assertThat(rest.weights()).isEqualTo(whole.weights());
  }

  @Test
  void aStopOnOneRankStopsAllAfterTheSameStep() {
    String[] saved = {"save=" + dir.resolve("run")};
    List<Ranks> ranks = Ranks.threads(new Mesh(1, 2, 1));
    List<Run> runs =
        all(
            ranks.stream()
                .map(
                    rank ->
                        started(
                            () -> toy.train(rank, config(2, saved), rank.rank() == 1 ? 3 : null)))
                .toList());
    assertThat(runs.getFirst().steps()).hasSize(4);
    assertThat(runs.getLast().steps()).hasSize(4);
    assertThat(dir.resolve("run/global_step4/model.safetensors")).exists();
  }

  @Test
  void aStopInAValidationEndsItOnAllRanks() {
    String[] sets = {"save=" + dir.resolve("run"), "eval_interval=4", "eval_iters=20000"};
    List<Ranks> ranks = Ranks.threads(new Mesh(1, 2, 1));
    List<Integer> told = new CopyOnWriteArrayList<>();
    List<Run> runs =
        all(
            ranks.stream()
                .map(
                    rank ->
                        started(
                            () ->
                                toy.trainHeard(
                                    rank,
                                    config(2, sets),
                                    new TrainingCallback() {
                                      @Override
                                      public void afterStep(Trainer trainer, Trainer.Step step) {
                                        if (rank.isFirst() && step.iteration() == 4) {
                                          Thread.ofPlatform()
                                              .daemon()
                                              .start(() -> told.add(stopLater(trainer)));
                                        }
                                      }
                                    })))
                .toList());
    assertThat(told).containsExactly(4);
    for (Run run : runs) {
      assertThat(run.steps()).hasSize(4);
      assertThat(run.evaluations()).isEmpty();
    }
    assertThat(dir.resolve("run/global_step4/model.safetensors")).exists();
  }

  private static int stopLater(Trainer trainer) {
    try {
      Thread.sleep(300);
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
    return trainer.stop();
  }

  @Test
  void ranksWithAnotherConfigurationOrDataAreNamed() throws IOException {
    List<Ranks> ranks = Ranks.threads(new Mesh(1, 2, 1));
    List<CompletableFuture<Run>> runs =
        ranks.stream()
            .map(
                rank ->
                    started(
                        () -> {
                          Trainer.requireSame(config(2, "seed=" + rank.rank()), rank);
                          throw new AssertionError("not refused");
                        }))
            .toList();
    for (CompletableFuture<Run> run : runs) {
      assertThatThrownBy(run::join)
          .isInstanceOf(CompletionException.class)
          .cause()
          .isInstanceOf(InputException.class)
          .hasMessageStartingWith(
              "rank 1 has another configuration than rank 0: seed is 1 on rank 1 and 0 on rank 0:"
                  + " ");
    }
    try (IndexedDatasetWriter writer =
        new IndexedDatasetWriter(dir.resolve("other"), ToyTraining.VOCAB)) {
      for (int d = 0; d < 300; d++) {
        writer.add(new int[] {1, 2, 3, 4, 5, 6, 7, 8, 9, d % ToyTraining.VOCAB}, 0, 10);
      }
      writer.commit();
    }
    List<CompletableFuture<Run>> mixed =
        Ranks.threads(new Mesh(1, 2, 1)).stream()
            .map(
                rank ->
                    started(
                        () ->
                            toy.train(
                                rank,
                                rank.isFirst()
                                    ? config(2)
                                    : NeoxConfig.load(
                                        List.of(dir.resolve("tiny.yml")),
                                        List.of("data_path=" + dir.resolve("other")),
                                        2),
                                null)))
            .toList();
    for (CompletableFuture<Run> run : mixed) {
      assertThatThrownBy(run::join)
          .hasMessageContaining("rank 1 has another data than rank 0: ")
          .hasMessageMatching(".*number of samples is [0-9]+ on rank 1 and [0-9]+ on rank 0.*");
    }
  }

  @Test
  void zeroSharesTheMomentsOut() {
    NeoxConfig config = config(4);
    try (Parameters all =
            new Parameters(config.model().shape(ToyTraining.VOCAB, 0), Dtype.F32, Device.CPU);
        Parameters share =
            new Parameters(
                Shard.whole(config.model().shape(ToyTraining.VOCAB, 0)),
                Dtype.F32,
                Device.CPU,
                new Parameters.Copy(1, 4, true, 6000))) {
      long whole = all.firstMoments().memory().byteSize();
      assertThat(share.firstMoments().memory().byteSize())
          .isBetween(whole / 4, whole / 4 + 16 * Float.BYTES);
      assertThat(share.secondMoments().memory().byteSize())
          .isEqualTo(share.firstMoments().memory().byteSize());
      assertThat(share.firstMoments().memory().get(ValueLayout.JAVA_FLOAT, 0)).isZero();
      assertThatThrownBy(() -> share.firstMoments().tensors())
          .isInstanceOf(IllegalStateException.class);
    }
    assertThat(
            TrainingNeed.of(
                    config(4, "zero_optimization={stage: 1}"),
                    config.model().shape(ToyTraining.VOCAB, 0))
                .parameterBytes())
        .isEqualTo(
            TrainingNeed.of(config, config.model().shape(ToyTraining.VOCAB, 0)).parameterBytes()
                - 6 * config.model().shape(ToyTraining.VOCAB, 0).parameterCount());
  }

  @Test
  void processesThatDoNotDivideAreRefused() {
    assertThatThrownBy(() -> config(3))
        .hasMessageContaining("train_batch_size 8 = ")
        .hasMessageContaining("or run 2 or 4 copies");
    assertThatThrownBy(() -> config(3, "model_parallel_size=2"))
        .hasMessageContaining("3 processes cannot be split")
        .hasMessageContaining("start 2 or 4");
    assertThatThrownBy(() -> config(2, "pipe_parallel_size=3"))
        .hasMessageStartingWith("--set pipe_parallel_size=3: pipe_parallel_size: 2 processes");
    NeoxConfig deep = config(4, "pipe_parallel_size=4"); // of a model with two layers
    assertThatThrownBy(() -> deep.layout(deep.model().shape(ToyTraining.VOCAB, 0)))
        .hasMessageStartingWith("--set pipe_parallel_size=4: pipe_parallel_size: 4 stages");
    assertThatThrownBy(() -> config(2, "global_num_gpus=4"))
        .hasMessageContaining(
            "global_num_gpus: states 4 processes, and 2 run: start them with jneox launch --nproc"
                + " 4");
    assertThat(config(2, "zero_optimization={stage: 2}").unsupported())
        .singleElement()
        .asString()
        .contains("zero_optimization: stage 2 is not done: set it to 0 or 1");
    assertThat(config(1, "zero_optimization={stage: 2}").unsupported()).isEmpty();
    assertThatThrownBy(() -> config(1, "zero_optimization={stage: 4}"))
        .hasMessageContaining("stage: expected 0, 1, 2 or 3, found 4");
  }
}
