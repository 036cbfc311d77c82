package dev.jneox.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Kills real trainings at random moments, and flips random bits of a checkpoint: {@code mvn -Psoak
 * verify}, some ten minutes.
 */
@Tag("soak")
class TrainingSoakTest {
  private static final int KILLS = 30;
  private static final int FLIPS = 100;
  private static final int STEPS = 400;

  /**
   * Of one start before its kill, at most, counted in its lines, so that a busy machine makes as
   * much progress as another.
   */
  private static final int STEPS_A_START = 16;

  /** Longest wait after the last of them: a step takes some 25 milliseconds and a save 70. */
  private static final int MAX_MICROS = 120_000;

  @TempDir Path dir;
  private final long seed = System.nanoTime();
  private final Random random = new Random(seed);

  @ParameterizedTest
  @ValueSource(strings = {"fp32", "bfloat16", "fp16"})
  void killedThirtyTimesARunEndsWithTheSameBits(String precision) throws Exception {
    Path recipe = TrainingProcess.recipe(dir);
    Path straight = dir.resolve("straight");
    try (TrainingProcess process = train(recipe, straight, precision, 1000)) {
      assertThat(process.end().code()).isZero();
    }
    Path run = dir.resolve("run");
    int inSave = 0;
    int resumed = 0;
    for (int kill = 0; kill < KILLS; kill++) {
      try (TrainingProcess process = train(recipe, run, precision, 3)) {
        int steps = random.nextInt(1, STEPS_A_START);
        while (steps(process) < steps) {
          assertThat(process.process().isAlive())
              .as("seed " + seed + ": " + Files.readString(process.err()))
              .isTrue();
          Thread.sleep(1);
        }
        boolean ended =
            process.process().waitFor(random.nextInt(MAX_MICROS), TimeUnit.MICROSECONDS);
        assertThat(ended)
            .as(
                "seed %d: ended by itself after %d kills: %s",
                seed, kill, Files.readString(process.err()))
            .isFalse();
        process.process().destroyForcibly().waitFor();
        resumed += Files.readString(process.out()).contains("resuming from") ? 1 : 0;
        inSave +=
            entries(run).stream().anyMatch(name -> name.matches(".*\\.(partial|replaced)")) ? 1 : 0;
      }
    }
    String killedAfter = Files.readString(run.resolve("latest"));
    try (TrainingProcess process = train(recipe, run, precision, 3)) {
      Output last = process.end();
      assertThat(last.code()).as("seed " + seed + ": " + last.err()).isZero();
    }
    System.out.printf(
        "%s: %d kills up to %s, %d of them in a save, %d starts resumed%n",
        precision, KILLS, killedAfter, inSave, resumed);
    for (String file : List.of("model.safetensors", "optimizer.safetensors", "training.json")) {
      String path = "global_step" + STEPS + "/" + file;
      assertThat(Files.mismatch(run.resolve(path), straight.resolve(path)))
          .as("seed " + seed + ": " + file)
          .isEqualTo(-1);
    }
    assertThat(losses(run)).as("seed " + seed).hasSize(STEPS + 1).isEqualTo(losses(straight));
    assertThat(entries(run))
        .filteredOn(name -> name.startsWith("global_step"))
        .containsExactly("global_step" + (STEPS - 1), "global_step" + STEPS);
    assertThat(inSave).as("kills in a save").isPositive();
  }

  /**
   * Saves of 55 MB, the embedding and the head of 16,384 rows, take about as long as the three
   * steps between them.
   */
  private TrainingProcess train(Path recipe, Path run, String precision, int factor)
      throws IOException {
    return TrainingProcess.start(
        dir,
        "train",
        recipe.toString(),
        "--set",
        "save=" + run,
        "--set",
        "load=" + run,
        "--set",
        "checkpoint_factor=" + factor,
        "--set",
        "keep_last_n_checkpoints=2",
        "--set",
        "train_iters=" + STEPS,
        "--set",
        "hidden_size=128",
        "--set",
        "make_vocab_size_divisible_by=16384",
        "--set",
        "log_interval=1",
        "--set",
        "precision=" + precision,
        "--set",
        "fp16.initial_scale_power=12");
  }

  /**
   * Step, loss, rate, norm, scale, skips and tokens of each step: what does not depend on the
   * clock.
   */
  private static List<List<String>> losses(Path run) throws IOException {
    try (Stream<String> rows = Files.lines(run.resolve("metrics.csv"))) {
      return rows.map(row -> List.of(row.split(",")).subList(0, 7)).toList();
    }
  }

  private static long steps(TrainingProcess process) throws IOException {
    try (Stream<String> lines = Files.lines(process.out())) {
      return lines.filter(line -> line.startsWith("step ")).count();
    }
  }

  private static List<String> entries(Path folder) throws IOException {
    if (!Files.exists(folder)) {
      return List.of();
    }
    try (Stream<Path> entries = Files.list(folder)) {
      return entries.map(path -> path.getFileName().toString()).sorted().toList();
    }
  }

  @Test
  void aHundredFlippedBitsInEachFileAreRefusedByName() throws IOException {
    Path recipe = TrainingProcess.recipe(dir);
    Path run = dir.resolve("run");
    String[] command = {
      "train",
      recipe.toString(),
      "--set",
      "save=" + run,
      "--set",
      "load=" + run,
      "--set",
      "exit_interval=1"
    };
    assertThat(Output.of(command).code()).isZero();
    List<Path> files;
    try (Stream<Path> walk = Files.walk(run.resolve("global_step1"))) {
      files = walk.filter(Files::isRegularFile).toList();
    }
    assertThat(files).hasSize(9);
    for (Path file : files) {
      byte[] bytes = Files.readAllBytes(file);
      for (int flip = 0; flip < FLIPS; flip++) {
        byte[] damaged = bytes.clone();
        int bit = random.nextInt(8 * bytes.length);
        damaged[bit / 8] ^= (byte) (1 << bit % 8);
        Files.write(file, damaged);
        Output output = Output.of(command);
        assertThat(output.code()).as("seed %d: bit %d of %s", seed, bit, file).isEqualTo(1);
        assertThat(output.err()).startsWith("jneox: " + file + ": damaged: ").hasLineCount(1);
      }
      Files.write(file, bytes);
    }
    assertThat(Output.of(command).out()).contains("resuming from " + run.resolve("global_step1"));
  }
}
