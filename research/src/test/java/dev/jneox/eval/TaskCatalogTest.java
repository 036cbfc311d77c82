package dev.jneox.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.io.InputException;
import java.io.IOException;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class TaskCatalogTest {
  private static final String TASK =
      """
      task: one
      test_split: test
      output_type: multiple_choice
      doc_to_text: q
      doc_to_target: a
      doc_to_choice: [x, y]
      """;

  @TempDir private Path folder;

  private Selection select(String... names) {
    return new TaskCatalog(List.of(folder)).select(List.of(names));
  }

  @Test
  void hasOurOwnTasksAndTheirTags() {
    TaskCatalog catalog = new TaskCatalog(List.of());
    assertThat(catalog.names())
        .contains(
            "lambada_openai",
            "piqa",
            "winogrande",
            "arc_easy",
            "arc_challenge",
            "sciq",
            "hellaswag",
            "openbookqa",
            "wikitext");
    assertThat(catalog.select(List.of("ai2_arc")).tasks())
        .extracting(TaskSpec::name)
        .containsExactly("arc_challenge", "arc_easy");
    assertThat(catalog.select(List.copyOf(catalog.names())).tasks()).isNotEmpty();
  }

  @Test
  void anUnknownNameGetsTheNearest() {
    assertThatThrownBy(() -> select("arc_esy"))
        .isInstanceOf(InputException.class)
        .hasMessage("no task 'arc_esy'; did you mean arc_easy? --tasks list has all names");
    assertThatThrownBy(() -> select("ikitex"))
        .hasMessageStartingWith("no task 'ikitex'; did you mean wikitext?");
  }

  @Test
  void includesAndOverrides() throws IOException {
    Toys.task(folder.resolve("base"), "_common", TASK + "target_delimiter: '-'\ntag: t\n");
    Toys.task(folder, "two", "include: base/_common.yaml\ntask: two\nnum_fewshot: 2\n");
    TaskSpec two = select("t").tasks().getFirst();
    assertThat(two.name()).isEqualTo("one"); // the common one is a task too
    two = select("two").tasks().getFirst();
    assertThat(two.targetDelimiter).isEqualTo("-");
    assertThat(two.fewshot).hasValue(2);
  }

  @Test
  void filesMayLieInAJar() throws IOException {
    try (FileSystem jar =
        FileSystems.newFileSystem(folder.resolve("t.jar"), Map.of("create", "true"))) {
      Toys.task(jar.getPath("/tasks"), "one", TASK);
      Path two = Toys.task(jar.getPath("/tasks"), "two", "include: one.yaml\ntask: two\n");
      assertThat(TaskFile.read(two)).containsEntry("task", "two").containsEntry("doc_to_text", "q");
    }
  }

  @Test
  void aFamilyIsATaskForEachMember() throws IOException {
    Toys.task(
        folder,
        "family",
        TASK
            + """
            members:
              - {area: a, name: [x_y, z], number: [1, 2]}
              - {area: b, name: w, number: 3}
            each:
              task: "f_{{ name }}_{{ number }}"
              tag: "f_{{ area }}"
              description: "On {{ name.replace('_', ' ') }}."
              num_fewshot: 4
              process_docs: !function "crows_pairs/utils.filter_{{ 'age' if area == 'a' else 'socio' }}"
            """);
    Toys.task(folder, "more", "include: family.yaml\ntask: more\n");
    assertThat(select("f_a").tasks())
        .extracting(TaskSpec::name)
        .containsExactly("f_x_y_1", "f_x_y_2", "f_z_1", "f_z_2");
    TaskSpec member = select("f_b").tasks().getFirst();
    assertThat(member.settings)
        .containsEntry("task", "f_w_3")
        .containsEntry("description", "On w.")
        .containsEntry("doc_to_text", "q")
        .containsEntry("num_fewshot", 4)
        .containsEntry("process_docs", new FunctionName("crows_pairs/utils.filter_socio"))
        .doesNotContainKeys("members", "each");
    assertThat(select("more").tasks()).extracting(TaskSpec::name).containsExactly("more");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "members: 3 | members: expected a list of members, found 3",
        "members: [3] | members: expected variables with values, found 3",
        "each: 3 | each: expected settings with templates, found 3",
        "each: {task: '{{ nme }}'} | each: task: line 1: ",
      })
  void aFamilyThatIsNoneIsTold(String line, String message) throws IOException {
    Path file =
        Toys.task(
            folder, "family", "members: [{name: a}]\neach: {task: '{{ name }}'}\n" + line + "\n");
    assertThatThrownBy(() -> select("family"))
        .isInstanceOf(InputException.class)
        .hasMessageStartingWith(file.toString())
        .hasMessageContaining(message);
  }

  @Test
  void aFileThatIncludesItselfIsRefused() throws IOException {
    Toys.task(folder, "a", "include: b.yaml\ntask: a\n");
    Toys.task(folder, "b", "include: a.yaml\n");
    assertThatThrownBy(() -> select("a")).hasMessageContaining("does not include this one");
  }

  @Test
  void aGroupThatContainsItselfIsRefused() throws IOException {
    Toys.task(folder, "one", TASK);
    Path a = Toys.task(folder, "a", "group: a\ntask: [one, a]\n");
    assertThatThrownBy(() -> select("a"))
        .hasMessage(
            a + ": group a: expected a group that does not contain itself, found a around it");
    Toys.task(folder, "a", "group: a\ntask: [b]\n");
    Toys.task(folder, "b", "group: b\ntask: [{group: c, task: [a]}]\n");
    assertThatThrownBy(() -> select("b"))
        .hasMessageContaining("b.yaml: group b: expected a group that does not contain itself");
    Toys.task(folder, "b", "group: b\ntask: [one]\n");
    Toys.task(folder, "d", "group: d\ntask: [b, a]\n");
    assertThat(select("d").tasks()).extracting(TaskSpec::name).containsExactly("one");
  }

  @Test
  void aGroupWithoutTasksIsRefused() throws IOException {
    Path file = Toys.task(folder, "a", "group: a\ntask: []\n");
    assertThatThrownBy(() -> select("a"))
        .hasMessage(file + ": group a: task: expected tasks, found none");
  }

  @Test
  void aNameThatIsNoTextIsRefused() throws IOException {
    Path file = Toys.task(folder, "mine", TASK.replace("one", "5"));
    assertThatThrownBy(() -> select("mine"))
        .hasMessage(file + ": task: expected a name as text, found 5");
  }

  @Test
  void errorsOfOurOwnTasksNameThemAndNoFile() throws IOException {
    Toys.task(folder, "mine", "group: g\ntask: [{task: piqa, output_type: loglikelihoods}]\n");
    assertThatThrownBy(() -> select("g"))
        .hasMessageStartingWith("task piqa (built in): output_type: expected one of");
  }

  @Test
  void summariesSayWhatTheDataOfATaskNeed() {
    TaskCatalog catalog = new TaskCatalog(List.of());
    assertThat(catalog.summaries(List.of()))
        .extracting(TaskSummary::name)
        .containsExactlyElementsOf(new java.util.TreeSet<>(catalog.names()));
    assertThat(catalog.summaries(List.of("arc*", "piqa")))
        .extracting(TaskSummary::name)
        .containsExactly("arc_challenge", "arc_easy", "piqa");
    TaskSummary arc = catalog.summaries(List.of("arc_easy")).getFirst();
    assertThat(arc.dataset()).isEqualTo("allenai/ai2_arc, ARC-Easy");
    assertThat(arc.split()).isEqualTo("test");
    assertThat(arc.exampleSplit()).isEqualTo("train");
    assertThat(arc.fields()).containsExactly("answerKey", "choices", "question");
    assertThat(catalog.summaries(List.of("mmlu")).getFirst().members()).contains("mmlu_stem");
    assertThatThrownBy(() -> catalog.summaries(List.of("nosuch*")))
        .hasMessageStartingWith("no task 'nosuch*'");
  }

  @Test
  void groupsHaveTasksOfNamesOrOfTheirOwn() throws IOException {
    Toys.task(folder, "one", TASK);
    Toys.task(
        folder,
        "g",
        """
        group: g
        task:
          - one
          - {task: two, test_split: test, output_type: loglikelihood, doc_to_text: q, doc_to_target: a}
          - {group: inner, task: [{task: one, num_fewshot: 1}]}
        aggregate_metric_list:
          - {metric: acc, weight_by_size: false}
        metadata: {version: 3}
        """);
    Selection selection = select("g");
    assertThat(selection.tasks()).extracting(TaskSpec::name).containsExactly("one", "g::two");
    assertThat(selection.groups()).extracting(Group::name).containsExactly("g::inner", "g");
    Group group = selection.groups().getLast();
    assertThat(group.members()).containsExactly("one", "g::two", "g::inner");
    assertThat(group.version()).isEqualTo("3");
    assertThat(group.sums()).containsExactly(new Group.Sum("acc", null, false, false));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "doc_to_txt: q | setting 'doc_to_txt' is not supported; did you mean 'doc_to_text'?",
        "doc_to_image: i | doc_to_image: is not supported, found i",
        "output_type: guess | output_type: expected one of [loglikelihood, loglikelihood_rolling,",
        "metric_list: [{metric: bleu}] | metric_list 1: metric: expected one of [acc,",
        "metric_list: [{metric: acc, speed: 1}] | metric_list 1: setting 'speed' is not supported",
        "filter_list: [{name: f, filter: [{function: shuffle}]}] | function: expected one of take_",
        "num_fewshot: -1 | num_fewshot: expected a whole number from 0, found -1",
        "fewshot_config: {sampler: balanced} | sampler: expected default or first_n, found"
            + " balanced",
        "process_docs: !function utils.f | /utils.f is not one that JNeoX has",
        "process_results: !function hellaswag/utils.process_docs | is for another setting",
        "doc_to_text: '{{ q ' | doc_to_text: line 1: expected }}, found",
        "doc_to_choice: | doc_to_choice: expected the choices that multiple_choice scores",
      })
  void whatIsNotSupportedIsRefusedByName(String line, String message) throws IOException {
    Path file = Toys.task(folder, "one", TASK + line + "\n");
    assertThatThrownBy(() -> select("one"))
        .isInstanceOf(InputException.class)
        .hasMessageStartingWith(file.toString())
        .hasMessageContaining(message);
  }

  @Test
  void aFileThatIsNoYamlIsToldWhenItsNameIsAskedFor() throws IOException {
    Toys.task(folder, "one", TASK);
    Path bad = Toys.task(folder, "bad", "task: bad\n  x: [\n");
    assertThat(select("one").tasks()).hasSize(1);
    assertThatThrownBy(() -> select("bad")).hasMessageStartingWith(bad + ": line ");
  }

  @Test
  void aProgramMayBringFunctionsOfItsOwn() throws IOException {
    Path tasks = folder.resolve("mine");
    Toys.task(tasks, "one", TASK + "doc_to_text: !function utils.f\n");
    TaskFunction.OfDocument function = document -> document.text("q") + "!";
    Selection selection =
        new TaskCatalog(List.of(tasks), Map.of("mine/utils.f", function)).select(List.of("one"));
    assertThat(selection.tasks().getFirst().text)
        .isEqualTo(new TextSource.Computed("mine/utils.f", function));
  }
}
