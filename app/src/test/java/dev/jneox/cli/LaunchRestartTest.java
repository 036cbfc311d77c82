package dev.jneox.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Trainings whose processes are killed or stopped, and that {@code launch} starts again. */
@Tag("slow")
class LaunchRestartTest {
  private static final int STEPS = 80;

  @TempDir static Path data;
  private static String recipe;
  private static Path straight;

  @TempDir Path dir;

  @BeforeAll
  static void trainUndisturbed() throws Exception {
    recipe = TrainingProcess.recipe(data).toString();
    straight = data.resolve("straight");
    try (TrainingProcess process = launch(straight, List.of())) {
      assertThat(process.end().code()).isZero();
    }
  }

  private static TrainingProcess launch(Path run, List<String> options, String... sets)
      throws IOException {
    List<String> all = new ArrayList<>(List.of("launch", "--nproc", "2"));
    all.addAll(options);
    all.addAll(List.of("train", recipe));
    Stream.concat(
            Stream.of(
                "save=" + run,
                "train_iters=" + STEPS,
                "checkpoint_factor=20",
                "keep_last_n_checkpoints=2",
                "zero_optimization={stage: 1}"),
            Stream.of(sets))
        .forEach(set -> all.addAll(List.of("--set", set)));
    return TrainingProcess.start(data, all.toArray(String[]::new));
  }

  private static void signal(String name, ProcessHandle process) throws Exception {
    assertThat(new ProcessBuilder("kill", "-" + name, "" + process.pid()).start().waitFor())
        .isZero();
  }

  /** Losses and other numbers of each step but those of the clock. */
  private static List<List<String>> numbers(Path run) throws IOException {
    try (Stream<String> rows = Files.lines(run.resolve("metrics.csv"))) {
      return rows.map(row -> List.of(row.split(",")).subList(0, 7)).toList();
    }
  }

  private static void assertSameBits(Path run) throws IOException {
    for (String file : List.of("model.safetensors", "optimizer.safetensors", "training.json")) {
      String path = "global_step" + STEPS + "/" + file;
      assertThat(Files.mismatch(run.resolve(path), straight.resolve(path))).as(file).isEqualTo(-1);
    }
    assertThat(numbers(run)).hasSize(STEPS + 1).isEqualTo(numbers(straight));
  }

  @Test
  void aKilledRankIsStartedAgainAndTheRunHasTheSameBits() throws Exception {
    Path run = dir.resolve("run");
    try (TrainingProcess process = launch(run, List.of("--max-restarts", "3"))) {
      process.await("step 45/");
      process.ranks().getLast().destroyForcibly();
      Output output = process.end();
      assertThat(output.code()).as(output.err()).isZero();
      assertThat(output.err())
          .containsPattern(
              "jneox: rank 1 was ended by signal 9.*; starting all ranks again after step \\d+, 2"
                  + " of 3 tries left");
      assertThat(output.out()).containsPattern("resuming from .*run/global_step\\d+ after step");
    }
    assertSameBits(run);
  }

  @Test
  void aStoppedRankIsNamedWithWhatTheOthersWaitIn() throws Exception {
    Path run = dir.resolve("run");
    List<String> options = List.of("--max-restarts", "1", "--distributed-timeout-minutes", "0.2");
    try (TrainingProcess process = launch(run, options)) {
      process.await("step 45/");
      ProcessHandle last = process.ranks().getLast();
      signal("STOP", last);
      Output output = process.end();
      assertThat(output.code()).as(output.err()).isZero();
      assertThat(output.err())
          .containsPattern(
              "jneox: rank 1 gave no sign of life for 12 s; rank 0 waits in [a-z-]+ of \\d+"
                  + " numbers, group (data|world); starting all ranks again after step \\d+, 0 of"
                  + " 1 tries left");
      assertThat(last.isAlive()).isFalse();
    }
    assertSameBits(run);
  }

  @Test
  void aDamagedCheckpointIsNamedAndTheOneBeforeIsTaken() throws Exception {
    Path run = dir.resolve("run");
    try (TrainingProcess process = launch(run, List.of("--max-restarts", "1"))) {
      process.await("step 70/");
      List<ProcessHandle> ranks = process.ranks();
      for (ProcessHandle rank : ranks) {
        signal("STOP", rank);
      }
      String newest = Files.readString(run.resolve("latest"));
      Path model = run.resolve(newest).resolve("model.safetensors");
      byte[] bytes = Files.readAllBytes(model);
      bytes[bytes.length / 2] ^= 1;
      Files.write(model, bytes);
      ranks.forEach(ProcessHandle::destroyForcibly);
      Output output = process.end();
      assertThat(output.code()).as(output.err()).isZero();
      int step = Integer.parseInt(newest.replaceAll("\\D", ""));
      assertThat(output.out())
          .containsPattern(model + ": damaged: .*; the checkpoint before is taken")
          .contains("resuming from " + run.resolve("global_step" + (step - 20)));
    }
    assertSameBits(run);
  }

  /** A file may be 150 or 300 KB long, by the shell; those of a checkpoint are longer. */
  @Test
  void aFullDiskIsToldAndTheCheckpointBeforeIsWhole() throws Exception {
    Path run = dir.resolve("run");
    String[] train = {
      "train",
      recipe,
      "--set",
      "save=" + run,
      "--set",
      "load=" + run,
      "--set",
      "train_iters=60",
      "--set",
      "checkpoint_factor=20",
      "--set",
      "exit_interval=20"
    };
    try (TrainingProcess process = TrainingProcess.start(dir, train)) {
      assertThat(process.end().code()).isZero();
    }
    List<String> limited = List.of("sh", "-c", "ulimit -f 300 && exec \"$@\"", "sh");
    try (TrainingProcess process = TrainingProcess.startBehind(dir, limited, train)) {
      Output output = process.end();
      assertThat(output.code()).as(output.err()).isEqualTo(1);
      assertThat(output.err().lines())
          .last()
          .asString()
          .contains("global_step40")
          .contains(": cannot be written: File too large; the last good checkpoint is ")
          .endsWith(run.resolve("global_step20").toString());
    }
    try (TrainingProcess process = TrainingProcess.start(dir, train)) {
      Output output = process.end();
      assertThat(output.code()).as(output.err()).isZero();
      assertThat(output.out()).contains("resuming from " + run.resolve("global_step20"));
    }
  }

  @Test
  void badInputIsNotTriedAgain() throws Exception {
    try (TrainingProcess process =
        launch(dir.resolve("run"), List.of("--max-restarts", "3"), "train_batch_size=7")) {
      Output output = process.end();
      assertThat(output.code()).isEqualTo(1);
      assertThat(output.err()).doesNotContain("starting all ranks again");
    }
  }
}
