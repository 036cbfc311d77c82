package dev.jneox.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.infer.LanguageModel;
import dev.jneox.io.CancelledException;
import dev.jneox.io.InputException;
import dev.jneox.io.Progress;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalInt;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class AnswerLogTest {
  private static final int DOCUMENTS = 12;
  private static final int REQUESTS = 2 * DOCUMENTS;

  @TempDir static Path made;
  @TempDir private Path folder;
  private static LanguageModel model;
  private Path tasks;
  private Path data;
  private Path file;

  @BeforeAll
  static void open() throws IOException {
    model = Toys.open(Toys.model(made, 128));
  }

  @AfterAll
  static void close() {
    model.close();
  }

  @BeforeEach
  void make() throws IOException {
    tasks = folder.resolve("forms");
    data = folder.resolve("data");
    file = folder.resolve("out/answers.jsonl");
    Toys.task(
        tasks,
        "t",
        """
        task: t
        test_split: test
        output_type: multiple_choice
        doc_to_text: "Question: {{ q }} Answer:"
        doc_to_target: "{{ a }}"
        doc_to_choice: [" red", " the lantern"]
        """);
    Toys.write(data, "t", "test", records(DOCUMENTS));
  }

  private static String[] records(int n) {
    return IntStream.range(0, n)
        .mapToObj(i -> "{\"q\": \"which kettle %d?\", \"a\": %d}".formatted(i, i % 2))
        .toArray(String[]::new);
  }

  /** Opens a log with blocks of about four requests. */
  private AnswerLog log(EvaluatedModel of) {
    return AnswerLog.open(file, of.hash(), false, 4, 1e-9);
  }

  private EvaluationResults run(EvaluatedModel of, AnswerLog log, Progress progress) {
    return run(Evaluation.Settings.DEFAULT, of, log, progress);
  }

  private EvaluationResults run(
      Evaluation.Settings settings, EvaluatedModel of, AnswerLog log, Progress progress) {
    Selection selection = new TaskCatalog(List.of(tasks)).select(List.of("t"));
    Evaluation evaluation = new Evaluation(settings.withBootstrap(50), new DataFolder(data));
    return evaluation.run(evaluation.prepare(selection), of, log, progress);
  }

  /** Stops an evaluation after so many answers, as a kill would. */
  private static Progress killed(int after) {
    return new Progress(-1) {
      @Override
      public void step(long n) {
        if (done() >= after) {
          throw new CancelledException("killed", null);
        }
        super.step(n);
      }
    };
  }

  private static String numbers(EvaluationResults results) {
    List<TaskResult> tasks = List.copyOf(results.tasks().values());
    return ResultFiles.scores(results) + "\n" + tasks.getFirst().samples();
  }

  @Test
  void whatWasKilledGoesOnAndGivesTheSameToTheLastBit() throws IOException {
    try (EvaluatedModel of = Toys.evaluated(model, 4, 2)) {
      EvaluationResults whole = run(of, null, Progress.silent());
      try (AnswerLog log = log(of)) {
        assertThatThrownBy(() -> run(of, log, killed(11))).isInstanceOf(CancelledException.class);
      }
      // The kill came in the middle of a line.
      byte[] there = Files.readAllBytes(file);
      Files.write(file, Arrays.copyOf(there, there.length - 7));
      try (AnswerLog log = log(of)) {
        Progress progress = Progress.silent();
        EvaluationResults rest = run(of, log, progress);
        assertThat(log.found()).isBetween(4L, 8L);
        assertThat(progress.done()).isEqualTo(REQUESTS);
        assertThat(numbers(rest)).isEqualTo(numbers(whole));
      }
      try (AnswerLog log = log(of)) { // nothing is asked twice
        assertThat(numbers(run(of, log, Progress.silent()))).isEqualTo(numbers(whole));
        assertThat(log.found()).isEqualTo(REQUESTS);
      }
    }
  }

  @Test
  void fewerAndMoreDocumentsAndOtherSettingsUseWhatIsThere() {
    try (EvaluatedModel of = Toys.evaluated(model, 4, 2)) {
      Evaluation.Settings five = Evaluation.Settings.DEFAULT.withLimit(OptionalInt.of(5));
      try (AnswerLog log = log(of)) {
        run(five, of, log, Progress.silent());
      }
      try (AnswerLog log = log(of)) {
        run(of, log, Progress.silent());
        assertThat(log.found()).isEqualTo(10);
      }
      try (AnswerLog log = log(of)) { // other prompts
        run(five.withFewshot(OptionalInt.of(1)), of, log, Progress.silent());
        assertThat(log.found()).isZero();
      }
    }
  }

  @Test
  void dataThatChangedAreToldAndWhatIsThereStays() throws IOException {
    try (EvaluatedModel of = Toys.evaluated(model, 4, 2)) {
      try (AnswerLog log = log(of)) {
        run(of, log, Progress.silent());
      }
      byte[] before = Files.readAllBytes(file);
      Toys.write(data, "t", "test", records(DOCUMENTS + 1));
      try (AnswerLog log = log(of)) {
        assertThatThrownBy(() -> run(of, log, Progress.silent()))
            .isInstanceOf(InputException.class)
            .hasMessageStartingWith(
                "task t: split test: the data changed since the results in " + file.getParent())
            .hasMessageEndingWith("; give another --out, or --force to begin anew");
      }
      assertThat(file).hasBinaryContent(before);
      try (AnswerLog log = AnswerLog.open(file, of.hash(), true)) {
        run(of, log, Progress.silent());
        assertThat(log.found()).isZero();
      }
    }
  }

  @Test
  void anotherModelIsTold() throws IOException {
    AnswerLog.open(file, "0123456789abcdef", false).close();
    assertThatThrownBy(() -> AnswerLog.open(file, "fedcba9876543210", false))
        .isInstanceOf(InputException.class)
        .hasMessage(
            file
                + ": line 1: the model changed since: expected the answers of fedcba987654, found"
                + " those of 0123456789ab; give another --out, or --force to begin anew");
    AnswerLog.open(file, "fedcba9876543210", true).close();
    assertThat(Files.readString(file)).isEqualTo("{\"model\":\"fedcba9876543210\"}\n");
  }

  @Test
  void aModelsHashDependsOnItsWeightsAndItsTokenizer() throws IOException {
    Path other = Toys.model(Files.createDirectory(folder.resolve("other")), 128);
    String first;
    try (EvaluatedModel of = Toys.evaluated(model, 4, 2)) {
      first = of.hash();
    }
    assertThat(hash(other)).isEqualTo(first);
    Path tokenizer = other.resolve("tokenizer.json");
    String text = Files.readString(tokenizer);
    Files.writeString(tokenizer, text + "\n");
    assertThat(hash(other)).isNotEqualTo(first);
    Files.writeString(tokenizer, text);
    Path weights = other.resolve("model.safetensors");
    byte[] bytes = Files.readAllBytes(weights);
    bytes[bytes.length - 2] ^= 1;
    Files.write(weights, bytes);
    assertThat(hash(other)).isNotEqualTo(first);
  }

  private static String hash(Path path) {
    try (LanguageModel opened = Toys.open(path);
        EvaluatedModel of = Toys.evaluated(opened, 4, 2)) {
      return of.hash();
    }
  }

  @Test
  void aDamagedLineIsNamed() throws IOException {
    for (String line :
        List.of(
            "{",
            "{\"other\": 1}",
            "{\"answers\": [[\"k\", 1, 2]]}",
            "{\"answers\": [[\"k\", \"x\", 2, true]]}")) {
      Files.createDirectories(file.getParent());
      Files.writeString(file, "{\"model\":\"m\"}\n" + line + "\n", StandardCharsets.UTF_8);
      assertThatThrownBy(() -> AnswerLog.open(file, "m", false))
          .as(line)
          .isInstanceOf(InputException.class)
          .hasMessageStartingWith(
              file + ": line 2: expected answers, found a line that is damaged");
    }
  }

  /** The texts drawn for one request depend on how many equal ones stand before it. */
  @Test
  void textsThatAreDrawnAreThereAllOrNone() throws IOException {
    Toys.task(
        tasks,
        "t",
        """
        task: t
        test_split: test
        doc_to_text: "The quiet"
        doc_to_target: q
        repeats: 2
        generation_kwargs: {do_sample: true, temperature: 1.0, max_gen_toks: 6, until: ["."]}
        metric_list: [{metric: exact_match}]
        filter_list: [{name: all, filter: [{function: take_first}]}]
        """);
    try (EvaluatedModel of = Toys.evaluated(model, 4, 2)) {
      EvaluationResults whole = run(of, null, Progress.silent());
      try (AnswerLog log = log(of)) {
        run(Evaluation.Settings.DEFAULT.withLimit(OptionalInt.of(2)), of, log, Progress.silent());
      }
      try (AnswerLog log = log(of)) {
        assertThat(numbers(run(of, log, Progress.silent()))).isEqualTo(numbers(whole));
        assertThat(log.found()).isZero();
      }
      try (AnswerLog log = log(of)) {
        assertThat(numbers(run(of, log, Progress.silent()))).isEqualTo(numbers(whole));
        assertThat(log.found()).isEqualTo(2L * DOCUMENTS);
      }
    }
    assertThat(file).content().hasLineCount(4); // the model, the data, two blocks
  }
}
