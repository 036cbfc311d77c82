package dev.jneox.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Kills ranks of a run at random moments, thirty times: {@code mvn -Psoak verify}. */
@Tag("soak")
class LaunchSoakTest {
  private static final int KILLS = 30;
  private static final int STEPS = 2000;

  @TempDir Path dir;
  private final long seed = System.nanoTime();
  private final Random random = new Random(seed);

  private TrainingProcess launch(String recipe, Path run, int restarts) throws IOException {
    List<String> all =
        new ArrayList<>(
            List.of("launch", "--nproc", "4", "--max-restarts", "" + restarts, "train", recipe));
    for (String set :
        List.of(
            "save=" + run,
            "train_iters=" + STEPS,
            "checkpoint_factor=7",
            "keep_last_n_checkpoints=3",
            "gradient_accumulation_steps=1",
            "pipe_parallel_size=2",
            "zero_optimization={stage: 1}")) {
      all.addAll(List.of("--set", set));
    }
    return TrainingProcess.start(dir, all.toArray(String[]::new));
  }

  private static long lines(Path file, String text) throws IOException {
    try (Stream<String> lines = Files.lines(file)) {
      return lines.filter(line -> line.contains(text)).count();
    }
  }

  @Test
  void killedThirtyTimesARunEndsWithTheSameBits() throws Exception {
    String recipe = TrainingProcess.recipe(dir).toString();
    Path straight = dir.resolve("straight");
    try (TrainingProcess process = launch(recipe, straight, 0)) {
      assertThat(process.process().waitFor()).isZero();
    }
    Path run = dir.resolve("run");
    // A kill may come before the start has saved anything: then it takes a try.
    try (TrainingProcess process = launch(recipe, run, KILLS)) {
      for (int kill = 0; kill < KILLS; kill++) {
        long wanted = lines(process.out(), " | loss ") + random.nextInt(1, 30);
        while (lines(process.out(), " | loss ") < wanted) {
          assertThat(process.process().isAlive())
              .as("seed %d, kill %d: %s", seed, kill, Files.readString(process.err()))
              .isTrue();
          Thread.sleep(1);
        }
        Thread.sleep(random.nextInt(50));
        List<ProcessHandle> ranks = process.ranks();
        ranks.get(random.nextInt(ranks.size())).destroyForcibly();
        while (lines(process.err(), "starting all ranks again") < kill + 1) {
          assertThat(process.process().isAlive())
              .as("seed %d, kill %d: %s", seed, kill, Files.readString(process.err()))
              .isTrue();
          Thread.sleep(10);
        }
      }
      assertThat(process.process().waitFor())
          .as("seed %d: %s", seed, Files.readString(process.err()))
          .isZero();
      assertThat(Files.readString(process.out()))
          .containsPattern("goodput \\d+% of .* lost in " + KILLS + " restarts");
    }
    for (String file : List.of("model.safetensors", "optimizer.safetensors", "training.json")) {
      String path = "global_step" + STEPS + "/" + file;
      assertThat(Files.mismatch(run.resolve(path), straight.resolve(path)))
          .as("seed %d: %s", seed, file)
          .isEqualTo(-1);
    }
    assertThat(numbers(run)).as("seed %d", seed).hasSize(STEPS + 1).isEqualTo(numbers(straight));
  }

  private static List<List<String>> numbers(Path run) throws IOException {
    try (Stream<String> rows = Files.lines(run.resolve("metrics.csv"))) {
      return rows.map(row -> List.of(row.split(",")).subList(0, 7)).toList();
    }
  }
}
