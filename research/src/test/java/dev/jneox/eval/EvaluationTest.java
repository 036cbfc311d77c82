package dev.jneox.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.tuple;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.jneox.infer.LanguageModel;
import dev.jneox.infer.LogLikelihood;
import dev.jneox.io.InputException;
import dev.jneox.io.Progress;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class EvaluationTest {
  private static final String CHOICE =
      """
      task: t
      test_split: test
      output_type: multiple_choice
      doc_to_text: "Question: {{ q }} Answer:"
      doc_to_target: "{{ a }}"
      doc_to_choice: "{{ c }}"
      """;

  @TempDir static Path made;
  @TempDir private Path folder;
  private static LanguageModel model;
  private Path tasks;
  private Path data;

  @BeforeAll
  static void open() throws IOException {
    model = Toys.open(Toys.model(made, 128));
  }

  @AfterAll
  static void close() {
    model.close();
  }

  @BeforeEach
  void folders() {
    tasks = folder.resolve("forms");
    data = folder.resolve("data");
  }

  private EvaluationResults run(Evaluation.Settings settings, String... names) {
    Selection selection = new TaskCatalog(List.of(tasks)).select(List.of(names));
    try (EvaluatedModel evaluated = Toys.evaluated(model, 4, 2)) {
      return new Evaluation(settings.withBootstrap(50), new DataFolder(data))
          .run(selection, evaluated, Progress.silent());
    }
  }

  private static String record(int i) {
    return "{\"q\": \"which kettle %d?\", \"a\": %d, \"c\": [\" red\", \"the lantern\", \"x\"]}"
        .formatted(i, i % 3);
  }

  private static String[] records(int n) {
    return Stream.iterate(0, i -> i + 1)
        .limit(n)
        .map(EvaluationTest::record)
        .toArray(String[]::new);
  }

  private static double value(EvaluationResults results, String task, String metric) {
    return results.tasks().get(task).scores().stream()
        .filter(score -> score.metric().equals(metric))
        .findFirst()
        .orElseThrow()
        .value();
  }

  /** What the metrics are made of, computed once more from the scores in the samples. */
  @Test
  void multipleChoiceCountsTheLikeliestBySumByCharacterByByteAndByGain() throws IOException {
    Toys.task(
        tasks,
        "t",
        CHOICE
            + "metric_list: [{metric: acc}, {metric: acc_norm}, {metric: acc_bytes},"
            + " {metric: acc_mutual_info}, {metric: exact_match}, {metric: mcc}, {metric:"
            + " brier_score}]\n");
    Toys.write(data, "t", "test", records(12));
    EvaluationResults results = run(Evaluation.Settings.DEFAULT, "t");
    double right = 0;
    double byCharacter = 0;
    double byGain = 0;
    for (Sample sample : results.tasks().get("t").samples()) {
      assertThat(sample.requests()).hasSize(6);
      assertThat(sample.requests().get(3)).isEqualTo(new Request.Loglikelihood("", "  red"));
      double[] sums =
          sample.filtered().stream()
              .mapToDouble(each -> ((Response.Score) each.getFirst()).logLikelihood())
              .toArray();
      long gold = (Long) sample.target();
      right += best(sums[0], sums[1], sums[2]) == gold ? 1 : 0;
      byCharacter += best(sums[0] / 4, sums[1] / 11, sums[2]) == gold ? 1 : 0;
      byGain += best(sums[0] - sums[3], sums[1] - sums[4], sums[2] - sums[5]) == gold ? 1 : 0;
    }
    assertThat(value(results, "t", "acc")).isEqualTo(right / 12);
    assertThat(value(results, "t", "acc_norm")).isEqualTo(byCharacter / 12);
    assertThat(value(results, "t", "acc_bytes")).isEqualTo(byCharacter / 12);
    assertThat(value(results, "t", "acc_mutual_info")).isEqualTo(byGain / 12);
    assertThat(value(results, "t", "brier_score")).isBetween(0.0, 2.0);
  }

  private static int best(double... values) {
    int best = 0;
    for (int i = 1; i < values.length; i++) {
      best = values[i] > values[best] ? i : best;
    }
    return best;
  }

  @Test
  void examplesAreDrawnByPythonsGeneratorAndWithoutTheDocumentItself() throws IOException {
    Toys.task(tasks, "t", CHOICE + "fewshot_split: test\ndescription: 'D {{ q }}. '\n");
    Toys.write(data, "t", "test", records(6));
    EvaluationResults results =
        run(Evaluation.Settings.DEFAULT.withFewshot(OptionalInt.of(2)), "t");
    // random.Random(1234): sample(range(6), 3) is [3, 0, 4], then [0, 4, 5].
    assertThat(context(results, 0))
        .isEqualTo(
            "D which kettle 0?. Question: which kettle 3? Answer:  red\n\n"
                + "Question: which kettle 4? Answer: the lantern\n\n"
                + "Question: which kettle 0? Answer:");
    assertThat(context(results, 1))
        .startsWith("D which kettle 1?. Question: which kettle 0? Answer:  red\n\n")
        .contains("Question: which kettle 4? Answer: the lantern\n\nQuestion: which kettle 1?");
  }

  private static String context(EvaluationResults results, int document) {
    Sample sample = results.tasks().get("t").samples().get(document);
    return ((Request.Loglikelihood) sample.requests().getFirst()).context();
  }

  @Test
  void aNumberOfExamplesOfZeroInTheFileStays() throws IOException {
    Toys.task(tasks, "t", CHOICE + "num_fewshot: 0\n");
    Toys.write(data, "t", "test", records(3));
    Evaluation.Settings settings = Evaluation.Settings.DEFAULT.withFewshot(OptionalInt.of(2));
    assertThat(run(settings, "t").tasks().get("t").fewshot()).isZero();
  }

  @Test
  void theFirstExamplesAreTakenInOrder() throws IOException {
    Toys.task(
        tasks, "t", CHOICE + "num_fewshot: 1\nfewshot_config: {sampler: first_n, split: test}\n");
    Toys.write(data, "t", "test", records(3));
    EvaluationResults results = run(Evaluation.Settings.DEFAULT, "t");
    assertThat(context(results, 0)).startsWith("Question: which kettle 1?");
    assertThat(context(results, 2)).startsWith("Question: which kettle 0?");
  }

  @Test
  void trailingSpacesOfAContextBelongToTheContinuation() {
    try (EvaluatedModel evaluated = Toys.evaluated(model, 2, 1)) {
      List<Response> answers =
          evaluated.answers(
              List.of(
                  new Request.Loglikelihood("the red ", "kettle"),
                  new Request.Loglikelihood("the red", " kettle"),
                  new Request.Loglikelihood("", "kettle")),
              Progress.silent());
      assertThat(answers.get(0)).isEqualTo(answers.get(1));
      int[] ids = model.tokenizer().encode("kettle");
      int[] begun = new int[ids.length + 1];
      System.arraycopy(ids, 0, begun, 1, ids.length);
      double sum = LogLikelihood.of(model.scorer().logProbabilities(begun)).sum();
      assertThat(((Response.Score) answers.get(2)).logLikelihood()).isEqualTo(sum);
    }
  }

  @Test
  void aContextIsCutFromTheLeftToOneTokenMoreThanTheModelReads() {
    String longer = Toys.TEXT.repeat(10);
    int[] all = model.tokenizer().encode(longer + " kettle");
    int[] context = model.tokenizer().encode(longer);
    try (EvaluatedModel evaluated = Toys.evaluated(model, 2, 1)) {
      Response answer =
          evaluated
              .answers(List.of(new Request.Loglikelihood(longer, " kettle")), Progress.silent())
              .getFirst();
      int[] read = Arrays.copyOfRange(all, all.length - 129, all.length);
      int from = read.length - (all.length - context.length);
      double sum = LogLikelihood.of(model.scorer().logProbabilities(read, from)).sum();
      assertThat(((Response.Score) answer).logLikelihood()).isEqualTo(sum);
      assertThatThrownBy(
              () ->
                  evaluated.answers(
                      List.of(new Request.Loglikelihood("a", longer)), Progress.silent()))
          .isInstanceOf(InputException.class)
          .hasMessageContaining("a continuation of 1 to 128 tokens");
    }
  }

  @Test
  void answersAreTheSameBitsAtAnyBatchSizeThreadCountAndOrder() {
    List<Request> requests = new ArrayList<>();
    Random random = new Random(5);
    for (int i = 0; i < 10; i++) {
      String context = Toys.TEXT.substring(random.nextInt(20), 40 + random.nextInt(100));
      for (String choice : List.of(" red", " x", " the lantern", " warm engine")) {
        requests.add(new Request.Loglikelihood(context, choice));
      }
      requests.add(new Request.Rolling(context.repeat(1 + random.nextInt(5))));
      requests.add(new Request.Generate(context, new Request.Sampling(List.of("\n"), 5, 0, 1, 0)));
    }
    List<Response> expected;
    try (EvaluatedModel evaluated = Toys.evaluated(model, 1, 1)) {
      expected = evaluated.answers(requests, Progress.silent());
    }
    List<Integer> order = new ArrayList<>();
    for (int i = 0; i < requests.size(); i++) {
      order.add(i);
    }
    for (int batch : new int[] {2, 7, 16}) {
      Collections.shuffle(order, new Random(batch));
      try (EvaluatedModel evaluated = Toys.evaluated(model, batch, 1 + batch % 2)) {
        List<Response> found =
            evaluated.answers(order.stream().map(requests::get).toList(), Progress.silent());
        for (int i = 0; i < found.size(); i++) {
          assertThat(found.get(i)).isEqualTo(expected.get(order.get(i)));
        }
      }
    }
  }

  @Test
  void generatedTextsAreFilteredAndMatched() throws IOException {
    Toys.task(
        tasks,
        "t",
        """
        task: t
        test_split: test
        output_type: generate_until
        doc_to_text: q
        doc_to_target: a
        generation_kwargs: {until: ["."], max_gen_toks: 6}
        filter_list:
          - {name: first, filter: [{function: take_first}]}
          - {name: none, filter: [{function: regex, regex_pattern: "no (such)"}, {function: take_first}]}
        metric_list: [{metric: exact_match, ignore_case: true, ignore_punctuation: true}]
        """);
    String written;
    try (EvaluatedModel evaluated = Toys.evaluated(model, 2, 1)) {
      Request request =
          new Request.Generate("the red", new Request.Sampling(List.of("."), 6, 0, 1, 0));
      Response answer = evaluated.answers(List.of(request), Progress.silent()).getFirst();
      written = ((Response.Written) answer).text();
    }
    String a = new ObjectMapper().writeValueAsString(written.toUpperCase() + "!");
    Toys.write(
        data,
        "t",
        "test",
        "{\"q\": \"the red\", \"a\": " + a + "}",
        "{\"q\": \"the red\", \"a\": \"[invalid]\"}");
    EvaluationResults results = run(Evaluation.Settings.DEFAULT, "t");
    assertThat(results.tasks().get("t").scores())
        .extracting(Score::key, Score::value)
        .containsExactly(tuple("exact_match,first", 0.5), tuple("exact_match,none", 0.5));
  }

  @Test
  void repeatsDrawOtherTextsTheSameOnesEachTime() {
    Request request = new Request.Generate("the red", new Request.Sampling(List.of(), 8, 1, 1, 0));
    try (EvaluatedModel evaluated = Toys.evaluated(model, 3, 1)) {
      List<Response> first = evaluated.answers(Collections.nCopies(3, request), Progress.silent());
      assertThat(first).doesNotHaveDuplicates();
      assertThat(evaluated.answers(Collections.nCopies(3, request), Progress.silent()))
          .isEqualTo(first);
    }
  }

  @Test
  void whatATemplateMissesIsSaidWithTaskDocumentAndExpression() throws IOException {
    Toys.task(tasks, "t", CHOICE.replace("{{ q }}", "{{ goal }}"));
    Path file = Toys.write(data, "t", "test", records(2));
    assertThatThrownBy(() -> run(Evaluation.Settings.DEFAULT, "t"))
        .isInstanceOf(InputException.class)
        .hasMessageStartingWith("task t: doc_to_text: " + file + ": line 1: ")
        .hasMessageEndingWith(
            "template \"Question: {{ goal }} Answer:\": expected the field 'goal', found [q, a,"
                + " c]");
  }

  @Test
  void whatATemplateCannotComputeIsSaidWithTheFieldsThatItTakes() throws IOException {
    Toys.task(tasks, "t", CHOICE.replace("{{ a }}", "{{ c.index(a) }}"));
    Path file =
        Toys.write(data, "t", "test", "{\"q\": \"w\", \"a\": \"E\", \"c\": [\"A\", \"B\"]}");
    assertThatThrownBy(() -> run(Evaluation.Settings.DEFAULT, "t"))
        .hasMessageStartingWith(
            "task t: doc_to_target: " + file + ": line 1: template \"{{ c.index")
        .hasMessageEndingWith(" with a: \"E\", c: [A, B]")
        .message()
        .containsOnlyOnce("line 1");
    Toys.task(tasks, "t", CHOICE.replace("{{ a }}", "{{ 9**9**9**9 }}"));
    assertThatThrownBy(() -> run(Evaluation.Settings.DEFAULT, "t")).message().hasSizeLessThan(500);
  }

  @Test
  void labelsThatAreNoChoiceCountAsWrongAndAreToldOnceATask() throws IOException {
    Toys.task(tasks, "t", CHOICE);
    String record = "{\"q\": \"w\", \"a\": %s, \"c\": [\" red\", \"x\"]}";
    List<String> labels = List.of("0", "7", "-1", "\"zz\"", "1.5", "null");
    Path file =
        Toys.write(
            data, "t", "test", labels.stream().map(record::formatted).toArray(String[]::new));
    List<String> notes = new ArrayList<>();
    Selection selection = new TaskCatalog(List.of(tasks)).select(List.of("t"));
    try (EvaluatedModel evaluated = Toys.evaluated(model, 4, 2)) {
      EvaluationResults results =
          new Evaluation(
                  Evaluation.Settings.DEFAULT.withBootstrap(0), new DataFolder(data), notes::add)
              .run(selection, evaluated, Progress.silent());
      assertThat(value(results, "t", "acc")).isLessThanOrEqualTo(1 / 6.0);
    }
    assertThat(notes)
        .containsExactly(
            "warning: task t: 5 documents have a label that is none of the choices, which no"
                + " answer can match: the first is "
                + file
                + ": line 2: 7 of 2 choices, from a: 7");
    Toys.task(tasks, "t", CHOICE.replace("\"{{ a }}\"", "a"));
    Toys.write(data, "t", "test", record.formatted("null"));
    assertThatThrownBy(() -> run(Evaluation.Settings.DEFAULT, "t"))
        .hasMessage(
            "task t: doc_to_target: "
                + file
                + ": line 1: expected the number or the text of a choice as the target, found"
                + " null");
  }

  @Test
  void anEmptyContinuationIsScoredAndTold() throws IOException {
    Toys.write(data, "lambada_openai", "test", "{\"text\": \"\"}", "{\"text\": \"a b\"}");
    List<String> notes = new ArrayList<>();
    Selection selection = new TaskCatalog(List.of()).select(List.of("lambada_openai"));
    try (EvaluatedModel evaluated = Toys.evaluated(model, 4, 2)) {
      new Evaluation(Evaluation.Settings.DEFAULT.withBootstrap(0), new DataFolder(data), notes::add)
          .run(selection, evaluated, Progress.silent());
    }
    assertThat(notes)
        .singleElement()
        .asString()
        .contains("lambada_openai: 1 document has white space alone to predict", "line 1");
  }

  @Test
  void everyTaskThatCannotBeEvaluatedIsTold() throws IOException {
    Toys.task(tasks, "t", CHOICE);
    Toys.write(data, "t", "test", records(2));
    List<String> notes = new ArrayList<>();
    Selection selection = new TaskCatalog(List.of(tasks)).select(List.of("sciq", "t", "piqa"));
    try (EvaluatedModel evaluated = Toys.evaluated(model, 4, 2)) {
      Evaluation evaluation =
          new Evaluation(Evaluation.Settings.DEFAULT, new DataFolder(data), notes::add);
      assertThatThrownBy(() -> evaluation.run(selection, evaluated, Progress.silent()))
          .hasMessageContaining("task sciq needs its split test");
    }
    assertThat(notes).singleElement().asString().contains("task piqa needs its split validation");
  }

  @Test
  void tooFewExamplesAreRefused() throws IOException {
    Toys.task(tasks, "t", CHOICE);
    Toys.write(data, "t", "test", records(2));
    Evaluation.Settings settings = Evaluation.Settings.DEFAULT.withFewshot(OptionalInt.of(5));
    assertThatThrownBy(() -> run(settings, "t"))
        .hasMessage("task t: expected 5 documents or more to take examples from, found 2");
  }

  @Test
  void filesOfResultsHaveTheSchemaOfTheHarness() throws IOException {
    Toys.task(tasks, "t", CHOICE + "metadata: {version: 2}\n");
    Path file = Toys.write(data, "t", "test", records(4));
    EvaluationResults results = run(Evaluation.Settings.DEFAULT.withLimit(OptionalInt.of(3)), "t");
    Path written =
        ResultFiles.write(folder.resolve("out"), ModelName.of("m"), results, Map.of("model", "m"));
    JsonNode report = new ObjectMapper().readTree(written.toFile());
    assertThat(report.at("/results/t/acc,none").doubleValue())
        .isEqualTo(value(results, "t", "acc"));
    assertThat(report.at("/results/t/acc_stderr,none").isNumber()).isTrue();
    assertThat(report.at("/n-samples/t/original").intValue()).isEqualTo(4);
    assertThat(report.at("/n-samples/t/effective").intValue()).isEqualTo(3);
    assertThat(report.at("/versions/t").textValue()).isEqualTo("2");
    assertThat(report.get("data_sha256").get("t").get(file.toString()).textValue()).hasSize(64);
    List<Path> samples;
    try (Stream<Path> files = Files.list(folder.resolve("out"))) {
      samples = files.filter(each -> each.toString().contains("samples_t_")).toList();
    }
    List<String> lines = Files.readAllLines(samples.getFirst());
    assertThat(lines).hasSize(3);
    JsonNode line = new ObjectMapper().readTree(lines.getFirst());
    assertThat(line.at("/arguments/gen_args_2/arg_1").textValue()).isEqualTo(" x");
    assertThat(line.at("/resps/0/0/1").textValue()).isIn("True", "False");
    assertThat(ResultTable.of(results))
        .startsWith("|Tasks|Version|Filter|n-shot|Metric  | | Value| |Stderr|\n")
        .contains("|t    |      2|none  |     0|acc     |↑|");
  }
}
