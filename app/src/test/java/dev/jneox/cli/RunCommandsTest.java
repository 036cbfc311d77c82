package dev.jneox.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.jneox.io.FolderFiles;
import dev.jneox.tokenizer.BpeTrainer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The folder of a run where a model is asked for. */
@Tag("slow")
class RunCommandsTest {
  private static final Path PARITY = Path.of("..", "core", "src", "test", "resources", "parity");

  @TempDir private Path dir;
  private Path run;

  /** A run of two checkpoints, of which the one before the last is the newest whole one. */
  @BeforeEach
  void makeARun() throws IOException {
    run = dir.resolve("run");
    checkpoint("global_step10", "neox-parallel");
    checkpoint("global_step9", "neox-serial-tied");
    Files.writeString(run.resolve("latest"), "global_step10\n");
    Files.writeString(
        run.resolve("metrics.csv"),
        "step,loss,valid_loss\n8,7.5,\n9,7.25,6.5\n10,7.125,NaN\n11,1,1\n");
    checkpoint("global_step11", "neox-serial-tied");
  }

  private Path checkpoint(String name, String model) throws IOException {
    Path folder = Files.createDirectories(run.resolve(name));
    for (String file : List.of("config.json", "model.safetensors")) {
      Files.copy(PARITY.resolve(model).resolve(file), folder.resolve(file));
    }
    BpeTrainer trainer = new BpeTrainer(258 + Integer.parseInt(name.substring(11)));
    trainer.count(
        List.of("int max(int a, int b) { return a > b ? a : b; } int max(int a, int b)")
            .iterator());
    trainer.train(merges -> {}).write(folder.resolve("tokenizer.json"));
    Files.writeString(
        folder.resolve("training.json"),
        "{\"iteration\": " + name.substring(11) + ", \"tokens\": 70}");
    return folder;
  }

  private static Output ok(String command) {
    Output output = Output.of(command.split(" "));
    assertThat(output.code()).as(output.err()).isZero();
    return output;
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "score --model @ --text int --json",
        "generate --model @ --prompt int --max-tokens 3 --seed 1",
        "inspect @ --tensors",
        "inspect @ --checksums --json"
      })
  void theRunIsItsNewestCheckpoint(String command) {
    assertThat(ok(command.replace("@", run.toString())).out())
        .isEqualTo(ok(command.replace("@", run.resolve("global_step10").toString())).out());
  }

  @Test
  void whatIsMadeOfARunIsMadeOfItsNewestCheckpoint() throws IOException {
    Path newest = run.resolve("global_step10");
    ok("convert --from " + run + " --to " + dir.resolve("hf") + " --format hf");
    assertThat(dir.resolve("hf/tokenizer.json"))
        .hasSameTextualContentAs(newest.resolve("tokenizer.json"));
    ok("quantize --from " + run + " --to " + dir.resolve("q8") + " --dtype q8");
    assertThat(dir.resolve("q8/tokenizer.json"))
        .hasSameTextualContentAs(newest.resolve("tokenizer.json"));
    ok("publish " + run + " --repo me/name --license mit --out " + dir.resolve("out"));
    assertThat(dir.resolve("out/model.safetensors"))
        .hasSameBinaryContentAs(newest.resolve("model.safetensors"));
    assertThat(dir.resolve("out/README.md")).content().contains("| steps | 10 |").contains("7.125");
    assertThat(
            ok("bench decode --model " + run + " --prompt 2 --new 2 --rounds 1 --warmup 0").out())
        .contains("global_step10");
  }

  @Test
  void inspectListsTheCheckpoints() throws IOException {
    Output output = ok("inspect " + run);
    List<String> lines = output.out().lines().toList();
    assertThat(lines.subList(1, lines.size() - 1))
        .allSatisfy(line -> assertThat(line).hasSizeLessThanOrEqualTo(80));
    assertThat(lines.get(4))
        .matches(
            "global_step9   \\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d +[\\d.]+ kB +7\\.2500 +6\\.5000");
    assertThat(lines.get(5)).matches("global_step10  .* kB +7\\.1250 +6\\.5000  latest");
    assertThat(lines.get(6)).startsWith("global_step11").doesNotContain("latest");
    assertThat(lines).last().isEqualTo("next: jneox inspect " + run.resolve("global_step10"));

    JsonNode report = new ObjectMapper().readTree(ok("inspect " + run + " --json").out());
    assertThat(report.get("format").textValue()).isEqualTo("run");
    assertThat(report.get("checkpoints").findValuesAsText("name"))
        .containsExactly("global_step9", "global_step10", "global_step11");
    assertThat(report.get("latest").textValue()).isEqualTo("global_step10");
    JsonNode second = report.at("/checkpoints/1");
    assertThat(second.get("loss").doubleValue()).isEqualTo(7.125);
    assertThat(second.get("validation_loss").doubleValue()).isEqualTo(6.5);
    long bytes = 0;
    for (String file : run.resolve("global_step10").toFile().list()) {
      bytes += Files.size(run.resolve("global_step10").resolve(file));
    }
    assertThat(second.get("bytes").longValue()).isEqualTo(bytes);
    assertThat(second.get("saved").textValue())
        .isEqualTo(Files.getLastModifiedTime(run.resolve("global_step10")).toInstant().toString());
  }

  @Test
  void aRunThatDoesNotSayWhichIsNewestIsOneLineThatListsWhatIsThere() throws IOException {
    Files.delete(run.resolve("latest"));
    for (String command :
        List.of(
            "score --ids 1 --model",
            "inspect --tensors",
            "convert --format hf --to x --from",
            "publish --repo me/name")) {
      Output output = Output.of((command + " " + run).split(" "));
      assertThat(output.code()).isEqualTo(1);
      assertThat(output.err().lines())
          .singleElement()
          .asString()
          .startsWith("jneox: " + run + "/latest: expected a file that names a checkpoint")
          .contains("global_step9, global_step10, global_step11");
    }
    assertThat(ok("inspect " + run).out())
        .contains("global_step11")
        .contains("latest: expected a file that names a checkpoint");
    Files.writeString(run.resolve("latest"), "global_step12");
    assertThat(ok("inspect " + run).out())
        .contains("\"global_step12\"; there is global_step9, global_step10, global_step11");
    Path empty = Files.createDirectory(dir.resolve("empty"));
    Files.writeString(empty.resolve("latest"), "global_step1");
    assertThat(Output.of("inspect", empty.toString()).err().lines())
        .singleElement()
        .asString()
        .contains("there is no checkpoint");
  }

  /** Runs of GPT-NeoX have no config.json; their configuration is beside the checkpoints. */
  @Test
  void aRunOfGptNeoxIsListedOnceItHasSeveralCheckpoints() throws IOException {
    Path neox = dir.resolve("neox");
    ok("convert --from " + run.resolve("global_step10") + " --to " + neox + " --format neox");
    Path only =
        run.resolveSibling("neox").resolve(Files.readString(neox.resolve("latest")).strip());
    assertThat(ok("inspect " + neox).out()).contains("NeoX checkpoint, 1 rank").contains("latest");
    Path next = Files.createDirectories(neox.resolve("global_step77"));
    for (Path file : FolderFiles.of(only)) {
      Files.createDirectories(next.resolve(only.relativize(file)).getParent());
      Files.copy(file, next.resolve(only.relativize(file)));
    }
    assertThat(ok("inspect " + neox).out())
        .contains("checkpoints 2")
        .contains("global_step77")
        .doesNotContain("validation")
        .endsWith("next: jneox inspect " + only + System.lineSeparator());
    assertThat(ok("inspect " + neox + " --tensors").out())
        .contains("NeoX checkpoint, 1 rank")
        .doesNotContain("global_step77");
    assertThat(ok("score --model " + neox + " --text int --json").out()).contains("logprobs");
  }
}
