package dev.jneox.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code train} with {@code eval_tasks}. */
@Tag("slow")
class TrainTasksTest {
  @TempDir Path dir;
  private Path run;
  private Path data;

  @BeforeEach
  void make() throws IOException {
    TrainingProcess.recipe(dir);
    run = dir.resolve("run");
    data = Files.createDirectories(dir.resolve("datasets/piqa")).getParent();
    StringBuilder records = new StringBuilder();
    for (int i = 0; i < 6; i++) {
      records.append(
          "{\"goal\": \"max %d\", \"sol1\": \"int a\", \"sol2\": \"b > a\", \"label\": %d}\n"
              .formatted(i, i % 2));
    }
    Files.writeString(data.resolve("piqa/validation.jsonl"), records);
  }

  private Output train(int steps, String... more) {
    List<String> words = new ArrayList<>();
    words.addAll(List.of("train", dir.resolve("tiny.yml").toString()));
    for (String set :
        List.of("save=" + run, "load=" + run, "train_iters=" + steps, "eval_interval=2")) {
      words.addAll(List.of("--set", set));
    }
    words.addAll(List.of(more));
    return Output.of(words.toArray(String[]::new));
  }

  @Test
  void scoresArePrintedAndAreMetricsAndThoseOfTheCheckpoint() throws IOException {
    String[] tasks = {
      "--set", "eval_tasks=[piqa]", "--set", "eval_task_limit=5", "--eval-data", data.toString()
    };
    Output output = train(3, tasks);
    assertThat(output.code()).as(output.err()).isZero();
    assertThat(output.out().lines().filter(line -> line.matches("step [23], piqa acc 0.*")))
        .hasSize(2);
    Path table = run.resolve("tasks.csv");
    List<String> rows = Files.readAllLines(table);
    assertThat(rows.getFirst())
        .isEqualTo("step,piqa_acc,piqa_acc_stderr,piqa_acc_norm,piqa_acc_norm_stderr");
    assertThat(rows).hasSize(3);
    assertThat(rows.get(1)).startsWith("2,");
    assertThat(rows.get(2)).startsWith("3,");
    Output evaluated =
        Output.of(
            "eval",
            "--model",
            run.toString(),
            "--tasks",
            "piqa",
            "--data",
            data.toString(),
            "--limit",
            "5",
            "--json");
    JsonNode scores = new ObjectMapper().readTree(evaluated.out()).at("/results/piqa");
    assertThat(rows.get(2))
        .isEqualTo(
            "3,%s,%s,%s,%s"
                .formatted(
                    scores.get("acc,none"),
                    scores.get("acc_stderr,none"),
                    scores.get("acc_norm,none"),
                    scores.get("acc_norm_stderr,none")));
    try (Stream<Path> events = Files.list(run.resolve("tensorboard"))) {
      String bytes = Files.readString(events.findFirst().get(), StandardCharsets.ISO_8859_1);
      assertThat(bytes).contains("validation/piqa_acc,none", "validation/piqa_acc_stderr,none");
    }
    Output more = train(5, tasks);
    assertThat(more.code()).as(more.err()).isZero();
    assertThat(Files.readAllLines(table).subList(0, 3)).isEqualTo(rows);
    assertThat(Files.readAllLines(table).stream().map(row -> row.substring(0, 1)))
        .containsExactly("s", "2", "3", "4", "5");
  }

  @Test
  void whatIsWrongIsToldBeforeTheFirstStep() {
    for (List<String> wrong :
        List.of(
            List.of("no task 'pikwa'; did you mean piqa?", "eval_tasks=[pikwa]"),
            List.of("arc_easy/test.jsonl: no such file, nor .parquet", "eval_tasks=[arc_easy]"),
            List.of("eval_tasks: expected a list", "eval_tasks=piqa"))) {
      Output output = train(3, "--set", wrong.getLast(), "--eval-data", data.toString());
      assertThat(output.code()).isEqualTo(1);
      assertThat(output.err().lines().filter(line -> line.startsWith("jneox: "))).hasSize(1);
      assertThat(output.err()).contains(wrong.getFirst());
      assertThat(output.out()).doesNotContain("step ");
    }
    Output without = train(3, "--eval-data", data.toString());
    assertThat(without.err()).contains("--eval-data is for eval_tasks, which is not set");
    assertThat(without.code()).isEqualTo(2);
  }
}
