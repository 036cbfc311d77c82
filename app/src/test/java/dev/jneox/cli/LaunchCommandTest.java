package dev.jneox.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.io.IOException;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code launch} with processes of its own. */
@Tag("slow")
class LaunchCommandTest {
  /** Losses of 20 steps differ by the order of fp32 sums: see DataParallelTest. */
  private static final double LOSS_BOUND = 1e-6;

  /** In parts and stages the sums of every layer have another order: see LayoutTrainingTest. */
  private static final double LAYOUT_LOSS_BOUND = 4e-6;

  @TempDir Path dir;
  private String recipe;

  @BeforeEach
  void write() throws IOException {
    recipe = TrainingProcess.recipe(dir).toString();
  }

  private static String[] sets(String... sets) {
    return Stream.of(sets).flatMap(set -> Stream.of("--set", set)).toArray(String[]::new);
  }

  private TrainingProcess launch(String... sets) throws IOException {
    return launchMany(2, sets);
  }

  private TrainingProcess launchMany(int processes, String... sets) throws IOException {
    List<String> all =
        new ArrayList<>(List.of("launch", "--nproc", "" + processes, "train", recipe));
    all.addAll(Arrays.asList(sets(sets)));
    return TrainingProcess.start(dir, all.toArray(String[]::new));
  }

  private static List<List<String>> rows(Path table) throws IOException {
    return Files.readAllLines(table).stream().map(line -> List.of(line.split(",", -1))).toList();
  }

  @Test
  void twoProcessesLearnWhatOneLearns() throws Exception {
    String iterations = "train_iters=20";
    trainAlone(iterations, "gradient_accumulation_steps=2");
    try (TrainingProcess process =
        launch(
            iterations,
            "save=" + dir.resolve("two"),
            "gradient_accumulation_steps=1",
            "zero_optimization={stage: 1}")) {
      Output output = process.end();
      assertThat(output.code()).as(output.err()).isZero();
      assertThat(output.out())
          .contains("2 processes with ZeRO-1 x 1 x 2 x 16 tokens a step")
          .contains("step 20/20")
          .doesNotContain("[rank")
          .doesNotContain("[Gloo]");
    }
    assertSameRun("two", LOSS_BOUND);
  }

  @Test
  void fourProcessesHaveAQuarterOfTheModelEach() throws Exception {
    // At the recipe's rate of 0.01 rounding grows tenfold in a few steps.
    String[] sets = {
      "train_iters=20", "gradient_accumulation_steps=4", "optimizer.params.lr=0.001"
    };
    trainAlone(
        sets[0], sets[1], sets[2], "make_vocab_size_divisible_by=256"); // the rows of two parts
    try (TrainingProcess process =
        launchMany(
            4,
            sets[0],
            sets[1],
            sets[2],
            "save=" + dir.resolve("four"),
            "model_parallel_size=2",
            "pipe_parallel_size=2")) {
      Output output = process.end();
      assertThat(output.code()).as(output.err()).isZero();
      assertThat(output.out())
          .contains("4 processes = 2 pipeline x 2 tensor x 1 data")
          .contains("step 20/20");
    }
    assertSameRun("four", LAYOUT_LOSS_BOUND);
  }

  /** Trains in one process, into the folder {@code one}. */
  private void trainAlone(String... sets) {
    List<String> one = new ArrayList<>(List.of("train", recipe));
    one.addAll(Arrays.asList(sets(sets)));
    one.addAll(Arrays.asList(sets("save=" + dir.resolve("one"))));
    Output alone = Output.of(one.toArray(String[]::new));
    assertThat(alone.code()).as(alone.err()).isZero();
  }

  /** Compares the losses and the files of two runs. */
  private void assertSameRun(String run, double lossBound) throws IOException {
    List<List<String>> expected = rows(dir.resolve("one/metrics.csv"));
    List<List<String>> found = rows(dir.resolve(run).resolve("metrics.csv"));
    assertThat(found).hasSameSizeAs(expected);
    assertThat(found.getFirst()).isEqualTo(expected.getFirst());
    int loss = expected.getFirst().indexOf("loss");
    int tokens = expected.getFirst().indexOf("tokens");
    for (int row = 1; row < expected.size(); row++) {
      assertThat(found.get(row).get(tokens)).isEqualTo(expected.get(row).get(tokens));
      assertThat(Double.parseDouble(found.get(row).get(loss)))
          .isCloseTo(Double.parseDouble(expected.get(row).get(loss)), within(lossBound));
    }
    try (Stream<Path> a = Files.walk(dir.resolve("one"));
        Stream<Path> b = Files.walk(dir.resolve(run))) {
      assertThat(names(b, run)).isEqualTo(names(a, "one"));
    }
  }

  private List<String> names(Stream<Path> files, String run) {
    return files
        .map(file -> dir.resolve(run).relativize(file).toString())
        .filter(name -> !name.startsWith("tensorboard/"))
        .sorted()
        .toList();
  }

  @Test
  void aKilledRankEndsAllAndIsNamed() throws Exception {
    try (TrainingProcess process = launch("save=" + dir.resolve("run"))) {
      process.await("step    3/");
      List<ProcessHandle> ranks = process.ranks();
      assertThat(ranks).hasSize(2);
      ranks.getLast().destroyForcibly();
      Output output = process.end();
      assertThat(output.code()).as(output.err()).isEqualTo(137);
      assertThat(output.err().lines())
          .last()
          .asString()
          .startsWith("jneox: rank 1 was ended by signal 9");
      // What rank 0 says of its lost peer is said already; its checkpoint is named.
      assertThat(output.err())
          .doesNotContain("another rank is gone")
          .contains("; the last good checkpoint is " + dir.resolve("run/global_step"));
      assertThat(ranks).noneMatch(ProcessHandle::isAlive);
    }
    assertThat(dir.resolve("run/latest")).exists(); // rank 0 saved the last whole step
  }

  @Test
  void aSignalSavesOnceAndStopsAll() throws Exception {
    try (TrainingProcess process = launch("save=" + dir.resolve("run"))) {
      process.await("step    3/");
      process.signal("INT");
      Output output = process.end();
      assertThat(output.code()).as(output.err()).isEqualTo(130);
      assertThat(output.out().lines()).filteredOn(line -> line.startsWith("saved ")).hasSize(1);
      assertThat(output.err()).contains("start again with load=").doesNotContain("rank 1");
    }
  }

  @Test
  void whatIsWrongForAllIsSaidOnce() throws Exception {
    try (TrainingProcess process = launch("train_batch_size=7")) {
      Output output = process.end();
      assertThat(output.code()).isEqualTo(1);
      assertThat(output.err().lines())
          .filteredOn(line -> !line.startsWith("WARNING: Using incubator modules"))
          .satisfiesExactly(
              line -> assertThat(line).startsWith("starting 2 processes of train with "),
              line -> assertThat(line).matches("(\\[rank 1\\] )?jneox: .*train_batch_size 7 = .*"),
              line -> assertThat(line).matches("jneox: rank [01] ended with exit code 1"));
    }
  }

  @Test
  void wrongUsageIsRefused() {
    assertThat(Output.of("launch", "--nproc", "0", "train", "x.yml").err())
        .contains("--nproc: expected 1 to 4096, found 0");
    assertThat(Output.of("launch", "--nproc", "2", "--node-rank", "1", "train").err())
        .contains("--node-rank: expected a number from 0 below --nnodes 1, found 1");
    assertThat(Output.of("launch", "--nproc", "2", "--max-restarts", "-1", "train").err())
        .contains("--max-restarts: expected a number from 0, found -1");
    assertThat(
            Output.of("launch", "--nproc", "2", "--distributed-timeout-minutes", "0", "train")
                .err())
        .contains("--distributed-timeout-minutes: expected a number above 0 up to 10000, found 0");
    assertThat(Output.of("launch", "train", "x.yml").err()).contains("--nproc");
    assertThat(Output.of("launch", "--nproc", "2", "launch").code()).isEqualTo(2);
    Output misspelt = Output.of("launch", "--nproc", "2", "trian", "x.yml");
    assertThat(misspelt.code()).isEqualTo(2);
    assertThat(misspelt.err()).contains("unknown command trian: did you mean train?");
  }

  @Test
  void aPortInUseIsToldBeforeAnythingStarts() throws IOException {
    try (ServerSocket used = new ServerSocket(0)) {
      Output output =
          Output.of("launch", "--nproc", "2", "--master-port", "" + used.getLocalPort(), "train");
      assertThat(output.code()).isEqualTo(1);
      assertThat(output.err().lines())
          .singleElement()
          .asString()
          .startsWith(
              "jneox: --master-port: port " + used.getLocalPort() + " cannot be listened at");
    }
  }

  @Test
  void ranksStopWhenTheirLauncherIsGone() throws Exception {
    try (TrainingProcess process = launch("save=" + dir.resolve("run"))) {
      process.await("step    3/");
      List<ProcessHandle> all =
          Stream.concat(
                  process.process().toHandle().descendants(),
                  Stream.of(process.process().toHandle()))
              .toList();
      List<ProcessHandle> ranks =
          all.stream().filter(child -> child.children().findAny().isEmpty()).toList();
      assertThat(ranks).hasSize(2);
      all.stream().filter(child -> !ranks.contains(child)).forEach(ProcessHandle::destroyForcibly);
      for (ProcessHandle rank : ranks) {
        rank.onExit().get(30, TimeUnit.SECONDS);
      }
    }
    assertThat(dir.resolve("run/latest")).exists();
  }

  @Test
  void aSignalStopsWithoutAValidationAndNamesTheStepThatIsSaved() throws Exception {
    String[] sets = {
      "split=80,10,10", "eval_interval=100000", "eval_iters=100000", "save=" + dir.resolve("run")
    };
    try (TrainingProcess process = launch(sets)) {
      process.await("step    3/");
      process.signal("TERM");
      assertThat(process.process().waitFor(30, TimeUnit.SECONDS)).isTrue();
      Output output = process.end();
      assertThat(output.code()).as(output.err()).isEqualTo(143);
      assertThat(output.out()).doesNotContain("validation after");
      String step =
          output.err().replaceFirst("(?s).*interrupted: saving after step (\\d+),.*", "$1");
      assertThat(output.out()).contains("saved " + dir.resolve("run/global_step" + step));
    }
  }
}
