package dev.jneox.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** {@code train} in processes of its own: signals, and two at a time. */
@Tag("slow")
class TrainCommandTest {
  @TempDir Path dir;
  private String recipe;
  private Path run;

  @BeforeEach
  void write() throws IOException {
    recipe = TrainingProcess.recipe(dir).toString();
    run = dir.resolve("run");
  }

  private TrainingProcess train(String... sets) throws IOException {
    String[] rest = Stream.of(sets).flatMap(set -> Stream.of("--set", set)).toArray(String[]::new);
    return TrainingProcess.start(
        dir, Stream.concat(Stream.of("train", recipe), Stream.of(rest)).toArray(String[]::new));
  }

  @ParameterizedTest
  @CsvSource({"INT,130", "TERM,143"})
  void aSignalSavesAndTheRunGoesOnToTheLastBit(String signal, int code) throws Exception {
    int step;
    try (TrainingProcess process = train("save=" + run, "load=" + run)) {
      process.await("step    3/");
      process.signal(signal);
      Output output = process.end();
      assertThat(output.code()).as(output.err()).isEqualTo(code);
      step =
          Integer.parseInt(
              output.err().replaceAll("(?s)interrupted: saving after step (\\d+),.*", "$1"));
      String latest = Files.readString(run.resolve("latest"));
      // A step whose update is being made when the signal comes is done.
      assertThat(latest).isIn("global_step" + step, "global_step" + (step + 1));
      step = Integer.parseInt(latest.replaceAll("\\D", ""));
      assertThat(output.out())
          .contains("no checkpoint in " + run + " yet: starting from step 0")
          .endsWith("saved " + run.resolve(latest) + "\n");
      assertThat(output.err().lines())
          .element(0)
          .asString()
          .endsWith(", a second " + (code == 130 ? "Ctrl-C" : "signal") + " leaves at once");
      assertThat(output.err().lines())
          .hasSize(2)
          .last()
          .isEqualTo("start the same command again to go on");
    }
    Output resumed =
        Output.of(
            "train",
            recipe,
            "--set",
            "save=" + run,
            "--set",
            "load=" + run,
            "--set",
            "exit_interval=" + (step + 4));
    assertThat(resumed.code()).as(resumed.err()).isZero();
    assertThat(resumed.out())
        .contains(
            "resuming from "
                + run.resolve("global_step" + step)
                + " after step "
                + step
                + " of 5000");
    Path straight = dir.resolve("straight");
    assertThat(
            Output.of(
                    "train",
                    recipe,
                    "--set",
                    "save=" + straight,
                    "--set",
                    "exit_interval=" + (step + 4))
                .code())
        .isZero();
    for (String file :
        new String[] {"model.safetensors", "optimizer.safetensors", "training.json"}) {
      String path = "global_step" + (step + 4) + "/" + file;
      assertThat(Files.mismatch(run.resolve(path), straight.resolve(path))).as(file).isEqualTo(-1);
    }
  }

  @Test
  void theTokenizerMayBeGpt2sTwoFiles() throws IOException {
    ObjectMapper json = new ObjectMapper();
    JsonNode model = json.readTree(dir.resolve("tokenizer.json").toFile()).get("model");
    Path vocabulary = dir.resolve("vocab.json");
    Files.write(vocabulary, json.writeValueAsBytes(model.get("vocab")));
    List<String> rules = new ArrayList<>();
    model.get("merges").forEach(rule -> rules.add(rule.asText()));
    String[] args = {
      "train",
      recipe,
      "--set",
      "save=" + run,
      "--set",
      "exit_interval=1",
      "--set",
      "tokenizer_type=GPT2BPETokenizer",
      "--set",
      "vocab_file=" + vocabulary,
      "--set",
      "merge_file=" + Files.write(dir.resolve("rules"), rules)
    };
    Output output = Output.of(args);
    assertThat(output.code()).as(output.err()).isZero();
    assertThat(run.resolve("global_step1/tokenizer.json")).exists();
    Files.delete(dir.resolve("rules"));
    Output missing = Output.of(args);
    assertThat(missing.code()).isEqualTo(1);
    assertThat(missing.err())
        .startsWith("jneox: " + vocabulary + ": content: expected a tokenizer.json, or the tokens")
        .contains(dir.resolve("rules").toString());
  }

  @ParameterizedTest
  @CsvSource({
    "gpu, 'expected cpu, auto, cuda or cuda:N, found gpu'",
    "cuda:99, 'cuda:99: '" // no machine has so many
  })
  void aDeviceThatIsNotThereIsWrongUsage(String device, String message) {
    Output output = Output.of("train", recipe, "--device", device);
    assertThat(output.code()).isEqualTo(2);
    assertThat(output.err()).contains("--device: " + message);
    assertThat(run).doesNotExist();
  }

  @Test
  void withoutAFolderToSaveInThatIsSaid() throws Exception {
    try (TrainingProcess process = train()) {
      process.await("step    2/");
      process.signal("INT");
      Output output = process.end();
      assertThat(output.code()).isEqualTo(130);
      assertThat(output.err())
          .matches(
              "interrupted: stopping after step \\d+, a second Ctrl-C leaves at once\\Rnothing was"
                  + " saved: save is not set\\R");
    }
  }

  /**
   * A terminal and a wrapper may both pass on one Ctrl-C; the second that counts comes later. A
   * layer takes seconds here, and the run looks between them: a run that ends by itself is tried
   * again.
   */
  @Test
  void aSecondSignalLeavesAtOnce() throws Exception {
    int lines = 0;
    for (int attempt = 0; attempt < 5 && lines != 1; attempt++) {
      try (TrainingProcess process =
          train(
              "save=" + run,
              "train_iters=2",
              "seq_length=32768",
              "max_position_embeddings=32768",
              "train_micro_batch_size_per_gpu=2")) {
        while (!Files.exists(run.resolve("metrics.csv"))) {
          Thread.sleep(1);
        }
        Thread.sleep(500); // into the first layer
        String twice = "kill -INT %1$d; kill -INT %1$d".formatted(process.process().pid());
        new ProcessBuilder("sh", "-c", twice).start().waitFor();
        Thread.sleep(400);
        process.process().destroy(); // SIGTERM; no error where the process has ended
        Output output = process.end();
        assertThat(output.code()).isIn(130, 143);
        lines = (int) output.err().lines().count();
        assertThat(run.resolve("latest")).doesNotExist();
      }
    }
    assertThat(lines).as("only the line of the first signal").isEqualTo(1);
  }

  @Test
  void beforeTheFirstStepASignalLeavesAtOnce() throws Exception {
    try (TrainingProcess process = train("save=" + run)) {
      while (!Files.exists(dir.resolve(".run.lock"))) {
        Thread.sleep(1);
      }
      process.signal("TERM");
      assertThat(process.end().code()).isEqualTo(143);
      assertThat(run.resolve("latest")).doesNotExist();
    }
  }

  @Test
  void aSecondTrainingInTheFolderStopsWithOneLine() throws Exception {
    try (TrainingProcess first = train("save=" + run)) {
      first.await("step    2/");
      Output second = Output.of("train", recipe, "--set", "save=" + run);
      assertThat(second.code()).isEqualTo(1);
      assertThat(second.out()).isEmpty();
      assertThat(second.err().lines())
          .singleElement()
          .asString()
          .startsWith("jneox: " + run)
          .contains("is being written by process " + first.process().pid() + " on ");
      first.signal("INT");
      assertThat(first.end().out()).contains("saved " + run);
    }
  }

  @Test
  void theFlagsReachTheRun() throws IOException {
    String[] twoSteps = {"train", recipe, "--set", "save=" + run, "--set", "exit_interval=2"};
    assertThat(Output.of(twoSteps).code()).isZero();
    Output refused = Output.of(twoSteps);
    assertThat(refused.code()).isEqualTo(1);
    assertThat(refused.err())
        .isEqualTo(
            "jneox: "
                + run
                + ": has global_step2, and this run would not go on from there: set load="
                + run
                + " to go on, add --restart to begin anew, or set save to another folder\n");
    Output again =
        Output.of(
            Stream.concat(Stream.of(twoSteps), Stream.of("--restart")).toArray(String[]::new));
    assertThat(again.code()).as(again.err()).isZero();
    assertThat(again.out())
        .contains("metrics.csv: is of an earlier run: it is now " + run.resolve("metrics-1.csv"));
    Output four =
        Output.of(
            "train",
            recipe,
            "--set",
            "save=" + run,
            "--set",
            "load=" + run,
            "--set",
            "exit_interval=4");
    assertThat(four.code()).as(four.err()).isZero();
    Files.delete(run.resolve("global_step4/manifest.crc32c"));
    String[] six = {
      "train", recipe, "--set", "save=" + run, "--set", "load=" + run, "--set", "exit_interval=6"
    };
    assertThat(Output.of(six).err())
        .contains("--no-verify", "the newest whole checkpoint is global_step2", "--skip-damaged");
    assertThat(
            Output.of(
                    Stream.concat(Stream.of(six), Stream.of("--skip-damaged"))
                        .toArray(String[]::new))
                .out())
        .contains("resuming from " + run.resolve("global_step2"));
    Files.writeString(run.resolve("latest"), "global_step4");
    assertThat(
            Output.of(
                    Stream.concat(Stream.of(six), Stream.of("--no-verify")).toArray(String[]::new))
                .out())
        .contains("resuming from " + run.resolve("global_step4"));
  }
}
