package dev.jneox.train;

import static dev.jneox.train.ToyTraining.assertSameBits;
import static dev.jneox.train.ToyTraining.assertSameNumbers;
import static dev.jneox.train.ToyTraining.concat;
import static dev.jneox.train.ToyTraining.numbers;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.jneox.dist.Mesh;
import dev.jneox.train.ToyTraining.Run;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Trains one model in many layouts of tensor parts, stages and copies, and compares with one rank.
 */
@Tag("slow")
class LayoutTrainingTest {
  private static final String LAYERS = "num_layers=4";

  /**
   * Bounds of rounding, as in DataParallelTest; here the sums of every layer have another order.
   * Found after 20 steps of up to 8 ranks: losses 4e-7, weights 1e-4.
   */
  private static final double LOSS_BOUND = 4e-6;

  private static final double WEIGHT_BOUND = 1e-3;

  @TempDir Path dir;
  private ToyTraining toy;

  @BeforeEach
  void writeData() throws IOException {
    toy = ToyTraining.write(dir);
  }

  private List<Run> train(int tensor, int pipeline, int data, String... sets) {
    return toy.train(new Mesh(pipeline, data, tensor), concat(sets, LAYERS));
  }

  /** Tensor parts, stages, copies, ZeRO stage, and what else the recipe says. */
  @ParameterizedTest
  @CsvSource({
    "2,1,1,0,gpt_j_residual=true",
    "1,2,1,0,gpt_j_residual=true",
    "2,2,1,0,gpt_j_residual=true",
    "2,1,2,0,gpt_j_residual=true",
    "2,1,2,1,gpt_j_residual=true",
    "1,2,2,1,gpt_j_residual=true",
    "2,2,2,0,gpt_j_residual=true",
    "2,2,2,1,gpt_j_residual=true",
    "1,4,1,0,gpt_j_residual=true",
    "2,4,1,0,gpt_j_residual=true",
    "2,2,2,1,gpt_j_residual=false",
    "2,2,2,1,no_weight_tying=false",
    "1,4,2,0,no_weight_tying=false",
    "2,1,2,1,checkpoint_activations=true",
  })
  void everyLayoutLearnsTheSame(int tensor, int pipeline, int data, int zero, String set) {
    Run one = train(1, 1, 1, set).getFirst();
    assertThat(one.steps()).hasSize(ToyTraining.STEPS);
    assertThat(one.steps().getLast().loss()).isLessThan(one.steps().getFirst().loss() - 0.5);
    String[] sets = {set, "zero_optimization={stage: " + zero + "}"};
    List<Run> several = train(tensor, pipeline, data, sets);
    for (Run run : several) {
      assertSameNumbers(several.getFirst(), run);
    }
    ToyTraining.assertClose(one, several.getFirst(), LOSS_BOUND, WEIGHT_BOUND);
    List<Run> again = train(tensor, pipeline, data, sets);
    for (int r = 0; r < several.size(); r++) {
      assertSameBits(several.get(r), again.get(r));
    }
  }

  /** Four parts pad the vocabulary to 128 rows, as one does when it is told to. */
  @Test
  void fourTensorParts() {
    Run one = train(1, 1, 1, "make_vocab_size_divisible_by=128").getFirst();
    List<Run> four = train(4, 1, 2, "zero_optimization={stage: 1}");
    ToyTraining.assertClose(one, four.getFirst(), LOSS_BOUND, WEIGHT_BOUND);
  }

  @ParameterizedTest
  @CsvSource({"fp16", "bfloat16"})
  void roundedProductsToo(String precision) {
    String[] sets = {"precision=" + precision, "zero_optimization={stage: 1}", "train_iters=12"};
    Run one = train(1, 1, 1, sets).getFirst();
    List<Run> several = train(2, 2, 2, sets);
    for (Run run : several) {
      assertSameNumbers(several.getFirst(), run);
    }
    // A dynamic loss scale overflows in the first steps on every rank alike.
    assertThat(several.getFirst().steps().stream().map(Trainer.Step::skipped).toList())
        .isEqualTo(one.steps().stream().map(Trainer.Step::skipped).toList());
    assertThat(several.getFirst().steps().getLast().loss())
        .isCloseTo(one.steps().getLast().loss(), within(0.02));
  }

  @Test
  void aRunGoesOnInAnyLayout() throws IOException {
    String[] saved = {"save=" + dir.resolve("run"), "load=" + dir.resolve("run")};
    String zero = "zero_optimization={stage: 1}";
    Run whole = train(1, 1, 1).getFirst();
    List<Trainer.Step> steps = new ArrayList<>();
    steps.addAll(train(2, 2, 1, concat(saved, "exit_interval=5")).getFirst().steps());
    steps.addAll(train(1, 1, 2, concat(saved, zero, "exit_interval=10")).getFirst().steps());
    steps.addAll(train(2, 2, 2, concat(saved, zero, "exit_interval=15")).getFirst().steps());
    Run last = train(1, 1, 1, saved).getFirst();
    steps.addAll(last.steps());
    assertThat(last.notes()).isEmpty();
    assertThat(steps.stream().map(Trainer.Step::iteration).toList())
        .isEqualTo(whole.steps().stream().map(Trainer.Step::iteration).toList());
    for (int s = 0; s < steps.size(); s++) {
      assertThat(steps.get(s).loss()).isCloseTo(whole.steps().get(s).loss(), within(LOSS_BOUND));
    }
    assertThat(Files.readAllLines(dir.resolve("run/metrics.csv"))).hasSize(ToyTraining.STEPS + 1);
  }

  @ParameterizedTest
  @CsvSource({"2,2,1,0", "2,2,2,1", "1,4,1,0"})
  void theSameLayoutGoesOnToTheBit(int tensor, int pipeline, int data, int zero) {
    String stage = "zero_optimization={stage: " + zero + "}";
    String[] saved = {"save=" + dir.resolve("run"), "load=" + dir.resolve("run"), stage};
    List<Run> whole = train(tensor, pipeline, data, stage);
    train(tensor, pipeline, data, concat(saved, "exit_interval=9"));
    List<Run> rest = train(tensor, pipeline, data, saved);
    for (int r = 0; r < whole.size(); r++) {
      assertThat(numbers(rest.get(r)))
          .isEqualTo(numbers(whole.get(r)).subList(9, ToyTraining.STEPS));
      assertThat(rest.get(r).weights()).isEqualTo(whole.get(r).weights());
    }
  }

  /** What is written depends on the numbers alone: a layout hands on what it has read. */
  @Test
  void aCheckpointHasTheSameBytesInEveryLayout() throws IOException {
    String start = "load=" + dir.resolve("start");
    train(1, 1, 1, "save=" + dir.resolve("start"), "train_iters=3");
    List<int[]> layouts = List.of(new int[] {1, 1, 1}, new int[] {2, 2, 1}, new int[] {2, 2, 2});
    for (int[] layout : layouts) {
      Path save = dir.resolve("run" + layout[0] + layout[1] + layout[2]);
      // A rate of 0 leaves weights and moments to change by nothing but the gradient.
      train(
          layout[0],
          layout[1],
          layout[2],
          start,
          "save=" + save,
          "train_iters=4",
          "optimizer.params.lr=1e-30",
          "weight_decay=0",
          "zero_optimization={stage: 1}");
      Path first = dir.resolve("run111/global_step4/model.safetensors");
      assertThat(save.resolve("global_step4/model.safetensors")).hasSameBinaryContentAs(first);
    }
  }

  @Test
  void anotherPaddingOfTheVocabularyIsNamed() {
    String[] saved = {"save=" + dir.resolve("run"), "load=" + dir.resolve("run")};
    train(4, 1, 1, concat(saved, "exit_interval=2"));
    assertThatThrownBy(() -> train(1, 1, 1, saved))
        .hasMessageContaining("vocab_size: expected 64 as the configuration and the tokenizer say")
        .hasMessageContaining("found 128: make_vocab_size_divisible_by 128 pads to as many rows");
    assertThat(train(1, 1, 1, concat(saved, "make_vocab_size_divisible_by=128")).getFirst().steps())
        .hasSize(ToyTraining.STEPS - 2);
  }

  /** A rank waits for other stages and parts: it is said, as of data parallel. */
  @Test
  void waitsForStagesAndPartsAreCounted() {
    for (Run run : train(2, 2, 1, "train_iters=3")) {
      for (Trainer.Step step : run.steps()) {
        assertThat(step.waited()).isBetween(1e-4, step.seconds());
      }
    }
  }

  @Test
  void layoutsThatDoNotFitAreRefused() {
    assertThatThrownBy(() -> toy.config(2, "model_parallel_size=2", "pipe_parallel_size=2"))
        .hasMessageContaining("2 processes cannot be split into 2 pipeline x 2 tensor parts = 4")
        .hasMessageEndingWith("start 4");
    NeoxConfig three = toy.config(3, "model_parallel_size=3", "train_batch_size=6");
    assertThatThrownBy(() -> three.layout(three.model().shape(ToyTraining.VOCAB, 0)))
        .hasMessageContaining("model_parallel_size: expected a divisor of 4 heads")
        .hasMessageEndingWith("the nearest that work are 2 and 4");
    NeoxConfig stages = toy.config(4, "pipe_parallel_size=4");
    assertThatThrownBy(() -> stages.layout(stages.model().shape(ToyTraining.VOCAB, 0)))
        .hasMessageContaining("pipe_parallel_size: 4 stages")
        .hasMessageEndingWith("at most 2 stages work");
    assertThatThrownBy(() -> toy.config(2, "pipe_partition_method=best"))
        .hasMessageContaining("pipe_partition_method: expected parameters, uniform or type:REGEX");
  }

  /** {@link ToyTraining} compares the norms of the parts with that of the whole after each step. */
  @Test
  void theNormsOfThePartsAddUpInEveryLayout() {
    for (Mesh mesh : List.of(Mesh.ALONE, new Mesh(1, 2, 1), new Mesh(2, 1, 2))) {
      toy.train(mesh, "log_grad_norm=true", "train_iters=3", "zero_optimization={stage: 1}");
    }
  }

  /** Two stages and two copies: each rank has its row, and a stage the passes of its batches. */
  @Test
  void aTraceHasWhatEachRankDid() throws IOException {
    Path save = dir.resolve("traced");
    String[] sets = {
      "profile=true",
      "profile_step_start=2",
      "profile_step_stop=3",
      "train_iters=5",
      "save=" + save,
      "checkpoint_factor=5",
      "eval_interval=100"
    };
    train(1, 2, 2, sets);
    JsonNode events =
        new ObjectMapper().readTree(save.resolve("trace.json").toFile()).get("traceEvents");
    for (int rank = 0; rank < 4; rank++) {
      Map<String, Integer> counts = new TreeMap<>();
      double end = 0; // of the last pass: a stage computes one thing at a time
      for (JsonNode event : events) {
        if (event.get("pid").intValue() == rank) {
          counts.merge(
              event.get("ph").textValue() + " " + event.get("name").textValue(), 1, Integer::sum);
          if (event.get("name").textValue().matches("(forward|backward) \\d")) {
            double at = event.get("ts").doubleValue();
            assertThat(at).isGreaterThanOrEqualTo(end);
            end = at + event.get("dur").doubleValue();
          }
        }
      }
      // A batch of 8: four micro-batches of one sequence for each copy.
      for (String pass : List.of("forward", "backward")) {
        for (int m = 0; m < 4; m++) {
          assertThat(counts).containsEntry("X " + pass + " " + m, 2);
        }
        assertThat(counts).doesNotContainKey("X " + pass + " 4");
      }
      assertThat(counts)
          .containsEntry("X update", 2)
          .containsEntry("b send", 8)
          .containsEntry("e send", 8);
      assertThat(counts.get("b all-reduce")).isPositive().isEqualTo(counts.get("e all-reduce"));
      assertThat(counts.get("X wait")).isPositive();
      assertThat(counts).containsEntry("X step 2", 1).containsEntry("X step 3", 1);
    }
    assertThat(Files.readString(save.resolve("metrics.csv")).lines().findFirst().orElseThrow())
        .contains("waiting,bytes_sent");
  }

  /** The bytes of a step by the formulas: gradients once, and with ZeRO the weights. */
  @ParameterizedTest
  @CsvSource({"0,2,2.0", "0,4,2.0", "1,2,3.0", "1,4,3.0"})
  void theBytesSentAreThoseOfTheFormula(int zero, int copies, double factor) {
    List<Run> ranks =
        train(1, 1, copies, "zero_optimization={stage: " + zero + "}", "train_iters=3");
    double gradients = 4.0 * ranks.getFirst().whole().length;
    for (Run rank : ranks) {
      double sent = rank.steps().getLast().sent();
      // Beside them go a few numbers of each rank, and the padding of the last bucket.
      assertThat(sent / (factor * (copies - 1) / copies * gradients)).isBetween(1.0, 1.02);
    }
  }
}
