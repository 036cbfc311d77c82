package dev.jneox.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.jneox.tokenizer.BpeTrainer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** {@code eval --tasks} over a model of random weights. */
class EvalTasksCommandTest {
  private static final Path FIXTURE =
      Path.of("..", "core", "src", "test", "resources", "parity", "neox-parallel");

  @TempDir static Path dir;
  private static String model;
  private static Path data;

  @BeforeAll
  static void make() throws IOException {
    Path folder = Files.createDirectory(dir.resolve("model"));
    for (String file : List.of("config.json", "model.safetensors")) {
      Files.copy(FIXTURE.resolve(file), folder.resolve(file));
    }
    BpeTrainer trainer = new BpeTrainer(300);
    trainer.count(List.of("Question: is it warm? Answer: it is").iterator());
    trainer.train(merges -> {}).write(folder.resolve("tokenizer.json"));
    model = folder.toString();
    data = Files.createDirectory(dir.resolve("data"));
    Files.createDirectory(data.resolve("piqa"));
    String record = "{\"goal\": \"%s\", \"sol1\": \"yes\", \"sol2\": \"it is\", \"label\": %d}\n";
    Files.writeString(
        data.resolve("piqa/validation.jsonl"), record.formatted("a", 0) + record.formatted("b", 1));
    Files.writeString(
        data.resolve("piqa/train.jsonl"), record.formatted("c", 0) + record.formatted("d", 1));
  }

  private static Output eval(String... more) {
    return Output.of(
        Stream.concat(
                Stream.of("eval", "--model", model, "--data", data.toString()), Stream.of(more))
            .toArray(String[]::new));
  }

  @Test
  void jsonHasTheNumbersByTheirNamesInTheHarness() throws IOException {
    Output output = eval("--tasks", "piqa", "--json", "--num-fewshot", "1");
    assertThat(output.code()).as(output.err()).isZero();
    assertThat(output.out().lines()).hasSize(1);
    JsonNode results = new ObjectMapper().readTree(output.out()).at("/results/piqa");
    assertThat(results.get("acc,none").isNumber()).isTrue();
    assertThat(results.get("acc_stderr,none").isNumber()).isTrue();
    assertThat(results.get("acc_norm,none").isNumber()).isTrue();
    assertThat(results.get("sample_len").intValue()).isEqualTo(2);
    Output one = eval("--tasks", "piqa", "--json", "--limit", "1");
    assertThat(
            new ObjectMapper().readTree(one.out()).at("/results/piqa/acc_stderr,none").textValue())
        .isEqualTo("N/A");
  }

  @Test
  void printsATableAndWritesFiles() throws IOException {
    Path out = dir.resolve("out");
    Output output = eval("--tasks", "piqa", "--out", out.toString());
    assertThat(output.code()).as(output.err()).isZero();
    assertThat(output.out()).startsWith("|Tasks|Version|Filter|n-shot|");
    assertThat(output.err()).contains("results are in " + out);
    try (Stream<Path> files = Files.walk(out).filter(Files::isRegularFile)) {
      assertThat(files.map(file -> file.getFileName().toString().replaceAll("_20.*\\.", ".")))
          .containsExactlyInAnyOrder(
              "results.json", "samples_piqa.jsonl", "answers.jsonl", "curves.csv", "report.html");
    }
  }

  /** A run of two checkpoints: the model, and one whose weights are twice as large. */
  private static Path run(String name) throws IOException {
    Path run = Files.createDirectory(dir.resolve(name));
    for (String step : List.of("global_step10", "global_step200")) {
      Path checkpoint = Files.createDirectory(run.resolve(step));
      for (String file : List.of("config.json", "model.safetensors", "tokenizer.json")) {
        Files.copy(Path.of(model, file), checkpoint.resolve(file));
      }
    }
    Path weights = run.resolve("global_step200/model.safetensors");
    byte[] bytes = Files.readAllBytes(weights);
    for (int i = bytes.length / 2; i < bytes.length; i += 4) {
      bytes[i + 3] ^= (byte) 0x80; // the signs of half of the weights
    }
    Files.write(weights, bytes);
    Files.writeString(run.resolve("latest"), "global_step200");
    return run;
  }

  private static Output tasks(String... more) {
    return Output.of(
        Stream.concat(
                Stream.of("eval", "--tasks", "piqa", "--data", data.toString()), Stream.of(more))
            .toArray(String[]::new));
  }

  @Test
  void checkpointsOfARunBecomeATableACurveAndAPage() throws IOException {
    Path run = run("run");
    Path out = dir.resolve("curve");
    String[] command = {"--model", run.toString(), "--checkpoints", "--out", out.toString()};
    Output output = tasks(command);
    assertThat(output.code()).as(output.err()).isZero();
    assertThat(output.out())
        .startsWith("|Tasks|Metric  | |Model         | Value| |Stderr|\n")
        .contains(
            "|piqa |acc     |↑|global_step10 |",
            "|     |        | |global_step200|",
            "|     |acc_norm|↑|");
    assertThat(out.resolve("curves.csv"))
        .content()
        .startsWith("model,step,task,metric,filter,value,stderr,chance\n")
        .contains(run + ",10,piqa,acc,none,", run + ",200,piqa,acc_norm,none,")
        .hasLineCount(5);
    assertThat(out.resolve("report.html"))
        .content()
        .contains("Learning curves", "Comparison", "class=\"chance\"");
    Output again = tasks(command);
    assertThat(again.out()).isEqualTo(output.out());
    assertThat(again.err().lines().filter(line -> line.startsWith("4 of 4 answers were in ")))
        .hasSize(2);
    // Without the option the run is its newest checkpoint.
    Output newest = tasks("--model", run.toString(), "--out", out.toString());
    assertThat(newest.err()).contains("4 of 4 answers were in", "global_step200/answers.jsonl");
    // Of a results folder with two models one has to be chosen.
    Output which = Output.of("eval", "--compare", out.toString(), out.toString());
    assertThat(which.err()).contains("2 models: give the folder of one, such as " + out);
    assertThat(which.code()).isEqualTo(1);
    List<Path> folders;
    try (Stream<Path> all = Files.list(out)) {
      folders = all.filter(Files::isDirectory).sorted().toList();
    }
    Path compared = dir.resolve("compared");
    Output comparison =
        Output.of(
            "eval",
            "--compare",
            folders.getFirst().toString(),
            folders.getLast().toString(),
            "--out",
            compared.toString());
    assertThat(comparison.code()).as(comparison.err()).isZero();
    assertThat(comparison.out())
        .startsWith(
            "A: " + run + "/global_step10\nB: " + run + "/global_step200\n\n|Tasks|Metric  |")
        .endsWith("test, 10000 draws, seed 1234.\n");
    assertThat(compared.resolve("report.html")).exists();
  }

  @Test
  void severalModelsAreOneLineOfJson() throws IOException {
    Path other = run("several").resolve("global_step200");
    Output output = tasks("--model", model, "--model", other.toString(), "--json");
    assertThat(output.code()).as(output.err()).isZero();
    assertThat(output.out().lines()).hasSize(1);
    JsonNode models = new ObjectMapper().readTree(output.out()).get("models");
    assertThat(models.findValuesAsText("model")).containsExactly(model, other.toString());
    assertThat(models.at("/1/step").intValue()).isEqualTo(200);
    assertThat(models.at("/1/results/piqa/acc,none").isNumber()).isTrue();
  }

  @Test
  void whatChangedSinceIsTold() throws IOException {
    Path of = dir.resolve("changing");
    Files.createDirectories(of.resolve("piqa"));
    Path split = of.resolve("piqa/validation.jsonl");
    Files.copy(data.resolve("piqa/validation.jsonl"), split);
    Path out = dir.resolve("changed");
    List<String> command =
        List.of(
            "eval",
            "--model",
            model,
            "--tasks",
            "piqa",
            "--data",
            of.toString(),
            "--out",
            out.toString());
    assertThat(Output.of(command.toArray(String[]::new)).code()).isZero();
    Files.writeString(split, Files.readString(split).replace("\"a\"", "\"c\""));
    Output changed = Output.of(command.toArray(String[]::new));
    assertThat(changed.code()).isEqualTo(1);
    assertThat(changed.err())
        .contains(
            "jneox: task piqa: split validation: the data changed since the results in " + out)
        .endsWith("; give another --out, or --force to begin anew\n");
    Output forced =
        Output.of(Stream.concat(command.stream(), Stream.of("--force")).toArray(String[]::new));
    assertThat(forced.code()).as(forced.err()).isZero();
  }

  @Test
  void listNamesTasksWithoutAModel() throws IOException {
    Output output = Output.of("eval", "--tasks", "list");
    assertThat(output.code()).as(output.err()).isZero();
    assertThat(output.out().lines())
        .contains("ai2_arc (tag): arc_challenge, arc_easy")
        .anyMatch(line -> line.matches("piqa +multiple_choice +validation +baber/piqa"));
    output = Output.of("eval", "--tasks", "list,piqa", "--data", data.toString());
    assertThat(output.out())
        .contains("data set on the hub: baber/piqa", "take: goal, label, sol1, sol2\n")
        .contains("first record: {\"goal\":\"a\",\"sol1\":\"yes\"");
    output = Output.of("eval", "--tasks", "list,arc*", "--json");
    JsonNode json = new ObjectMapper().readTree(output.out());
    assertThat(json)
        .extracting(task -> task.get("name").textValue())
        .containsExactly("arc_challenge", "arc_easy");
    output = Output.of("eval", "--tasks", "list,nosuch");
    assertThat(output.code()).isEqualTo(1);
  }

  @Test
  void anOddLabelIsOneLineOfWarning() throws IOException {
    Path odd = Files.createDirectories(dir.resolve("odd/piqa"));
    Files.writeString(
        odd.resolve("validation.jsonl"),
        "{\"goal\": \"a\", \"sol1\": \"yes\", \"sol2\": \"it is\", \"label\": 7}\n");
    Output output =
        Output.of("eval", "--model", model, "--data", odd.getParent() + "", "--tasks", "piqa");
    assertThat(output.code()).as(output.err()).isZero();
    assertThat(output.err().lines())
        .containsOnlyOnce(
            "jneox: warning: task piqa: 1 document has a label that is none of the choices, which"
                + " no answer can match: "
                + odd.resolve("validation.jsonl")
                + ": line 1: 7 of 2 choices, from label: 7");
  }

  @Test
  void aTaskFileOfOnesOwn() throws IOException {
    Path forms = Files.createDirectory(dir.resolve("forms"));
    Files.writeString(
        forms.resolve("mine.yaml"),
        """
        task: mine
        dataset_path: json
        dataset_kwargs: {data_files: {test: '%s'}}
        test_split: test
        output_type: loglikelihood
        doc_to_text: goal
        doc_to_target: " {{ sol2 }}"
        """
            .formatted(data.resolve("piqa/train.jsonl")));
    Output output =
        Output.of(
            "eval",
            "--model",
            model,
            "--tasks",
            "mine",
            "--include-path",
            forms.toString(),
            "--json",
            "--bootstrap-iters",
            "10");
    assertThat(output.code()).as(output.err()).isZero();
    assertThat(output.out()).contains("\"perplexity,none\"", "\"acc,none\"");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "--tasks pikwa | 1 | no task 'pikwa'; did you mean piqa? --tasks list has all names",
        "--tasks sciq | 1 | sciq/test.jsonl: no such file, nor .parquet: task sciq needs its split",
        "--tasks piqa --file x | 2 | --tasks reads --data DIR, not --file",
        "--tasks piqa --batch-size 0 | 2 | --batch-size: expected 1 to 4096, found 0",
        "--tasks piqa --num-fewshot -1 | 2 | --num-fewshot: expected 0 or more, found -1",
        "--tasks piqa --num-fewshot 9 | 1 | task piqa: expected 10 documents or more to take",
        "--num-fewshot 1 | 2 | --num-fewshot is for --tasks",
        "--checkpoints | 2 | --checkpoints is for --tasks",
        "--tasks piqa --checkpoints | 1 | --checkpoints: expected the folder of a run of train",
        "--tasks piqa --compare a b | 2 | --compare reads results: it goes with --out and --json",
        "--tasks piqa --include-path no/such | 1 | no/such: cannot be read: no such file or folder",
      })
  void whatIsWrongIsOneLine(String options, int code, String message) {
    Output output = eval(options.split(" "));
    assertThat(output.err().lines().filter(line -> line.startsWith("jneox: "))).hasSize(1);
    assertThat(output.err()).contains(message);
    assertThat(output.code()).isEqualTo(code);
  }

  @Test
  void eitherDocumentsOrTasks() {
    Output output = Output.of("eval", "--model", model);
    assertThat(output.err()).contains("one of --file, --data, --tasks, --compare");
    assertThat(output.code()).isEqualTo(2);
    output = Output.of("eval", "--tasks", "piqa", "--data", data.toString());
    assertThat(output.err()).contains("'--model=MODEL'");
    assertThat(output.code()).isEqualTo(2);
  }
}
