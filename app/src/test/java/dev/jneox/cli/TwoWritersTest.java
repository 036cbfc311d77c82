package dev.jneox.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jneox.io.TargetLock;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Every command that writes, while another writer has its target: one line, nothing written; and
 * then it works.
 */
@Tag("slow")
class TwoWritersTest {
  @TempDir static Path dir;

  private record Case(String target, String command) {
    List<String> words() {
      return List.of(command.replace("@", dir.toString()).split(" "));
    }

    @Override
    public String toString() {
      return command;
    }
  }

  @BeforeAll
  static void makeWhatIsRead() throws IOException {
    Files.writeString(
        dir.resolve("text.txt"), "int max(int a, int b) { return a > b ? a : b; }\n".repeat(40));
    TrainingProcess.recipe(dir);
    Files.createDirectories(dir.resolve("datasets/piqa"));
    Files.writeString(
        dir.resolve("datasets/piqa/validation.jsonl"),
        "{\"goal\": \"a\", \"sol1\": \"b\", \"sol2\": \"c\", \"label\": 0}\n");
    run("synth --config pythia/14M --format hf --out @/model --tokenizer @/tokenizer.json");
  }

  private static void run(String command) {
    Output output = Output.of(new Case("", command).words().toArray(String[]::new));
    assertThat(output.code()).as(output.err()).isZero();
  }

  static Stream<Case> cases() {
    return Stream.of(
        new Case("tok.json", "tokenizer train --vocab-size 270 --out @/tok.json @/text.txt"),
        new Case(
            "prepared.bin", "prepare --tokenizer @/tokenizer.json --out @/prepared @/text.txt"),
        new Case("order", "data index --part @/data:1:20 --seq-length 8 --out @/order"),
        new Case("run", "train @/tiny.yml --set train_iters=1 --set save=@/run"),
        new Case("hf", "convert --from @/model --to @/hf --format hf"),
        new Case("neox", "convert --from @/model --to @/neox --format neox --tp 2"),
        new Case("model.gguf", "convert --from @/model --to @/model.gguf --format gguf"),
        new Case("q4", "quantize --from @/model --to @/q4 --dtype q4"),
        new Case(
            "synthetic",
            "synth --config pythia/14M --format neox --out @/synthetic --tokenizer"
                + " @/tokenizer.json"),
        new Case(
            "results/" + dir.resolve("model").toString().replaceAll("/", "__") + "/answers.jsonl",
            "eval --model @/model --tasks piqa --data @/datasets --out @/results"),
        new Case("published", "publish @/model --repo me/name --license mit --out @/published"),
        new Case("demo", "demo --minutes 0.2 --out @/demo"));
  }

  @ParameterizedTest
  @MethodSource("cases")
  void theSecondWriterGetsOneLine(Case each) throws Exception {
    Path target = dir.resolve(each.target);
    Output output;
    try (ExecutorService other = Executors.newSingleThreadExecutor()) {
      TargetLock lock = other.submit(() -> TargetLock.take(target)).get();
      output = Output.of(each.words().toArray(String[]::new));
      other.submit(lock::close).get();
    }
    assertThat(output.code()).as(output.err()).isEqualTo(1);
    assertThat(output.err().lines().filter(line -> line.startsWith("jneox: ")))
        .containsExactly(
            "jneox: "
                + target
                + ": is being written by this process: wait for it to end, or choose another name");
    assertThat(target).doesNotExist();
    assertThat(output.out()).isEmpty();
    if (!each.target.equals("demo")) { // it takes minutes, and has tests of its own
      run(each.command);
      assertThat(target).exists();
    }
  }

  @Test
  void everyCommandThatWritesIsInTheTable() {
    List<String> words = cases().map(each -> each.command.split(" ")[0]).toList();
    Main.commandLine()
        .getSubcommands()
        .forEach(
            (name, command) -> {
              boolean writes =
                  Stream.of("--out", "--to")
                      .anyMatch(option -> command.getCommandSpec().findOption(option) != null);
              assertThat(!writes || words.contains(name)).as(name).isTrue();
            });
  }
}
