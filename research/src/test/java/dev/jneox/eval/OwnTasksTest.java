package dev.jneox.eval;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Compares the prompts of our own task files with texts that lm-evaluation-harness writes of the
 * same records; {@code bench/peers/lm_eval_tasks.py} compares more of them.
 */
class OwnTasksTest {
  @TempDir private Path data;

  private Task task(String name) {
    TaskSpec spec = new TaskCatalog(List.of()).select(List.of(name)).tasks().getFirst();
    return new Task(spec, new DataFolder(data), 0, 1234);
  }

  private @Nullable Object target(String name) {
    Task task = task(name);
    return task.target(task.documents.getFirst());
  }

  private List<String> prompts(String name, String split, String record) throws IOException {
    Toys.write(data, name, split, record);
    Task task = task(name);
    List<String> prompts = new ArrayList<>();
    for (Request request : task.requests(task.documents.getFirst())) {
      prompts.add(
          switch (request) {
            case Request.Loglikelihood asked -> asked.context() + "|" + asked.continuation();
            case Request.Rolling asked -> asked.text();
            case Request.Generate asked -> asked.context() + "|";
          });
    }
    return prompts;
  }

  @Test
  void lambada() throws IOException {
    assertThat(prompts("lambada_openai", "test", "{\"text\": \"a red  kettle\"}"))
        .containsExactly("a red | kettle");
  }

  @Test
  void piqa() throws IOException {
    assertThat(
            prompts(
                "piqa",
                "validation",
                "{\"goal\": \"Warm it\", \"sol1\": \"on\", \"sol2\": \"o'ff\", \"label\": 1}"))
        .containsExactly("Question: Warm it\nAnswer:| on", "Question: Warm it\nAnswer:| o'ff");
  }

  @Test
  void winogrande() throws IOException {
    assertThat(
            prompts(
                "winogrande",
                "validation",
                "{\"sentence\": \"So _ was warm. \", \"option1\": \"a\", \"option2\": \"b\","
                    + " \"answer\": \"2\"}"))
        .containsExactly("So a| was warm.", "So b| was warm.");
  }

  @Test
  void arc() throws IOException {
    String record =
        "{\"question\": \"Why?\", \"choices\": {\"text\": [\"x\", \"y\"], \"label\": [\"1\","
            + " \"2\"]}, \"answerKey\": \"2\"}";
    for (String name : List.of("arc_easy", "arc_challenge")) {
      assertThat(prompts(name, "test", record))
          .containsExactly("Question: Why?\nAnswer:| x", "Question: Why?\nAnswer:| y");
    }
  }

  @Test
  void openbookqa() throws IOException {
    assertThat(
            prompts(
                "openbookqa",
                "test",
                "{\"question_stem\": \"It is\", \"choices\": {\"text\": [\"x\", \"y\"], \"label\":"
                    + " [\"A\", \"B\"]}, \"answerKey\": \" B\"}"))
        .containsExactly("It is| x", "It is| y");
  }

  @Test
  void sciq() throws IOException {
    assertThat(
            prompts(
                "sciq",
                "test",
                "{\"support\": \" S.\", \"question\": \"Q?\", \"distractor1\": \"a\","
                    + " \"distractor2\": \"b\", \"distractor3\": \"c\", \"correct_answer\":"
                    + " \"d\"}"))
        .containsExactly(
            "S.\nQuestion: Q?\nAnswer:| a",
            "S.\nQuestion: Q?\nAnswer:| b",
            "S.\nQuestion: Q?\nAnswer:| c",
            "S.\nQuestion: Q?\nAnswer:| d");
  }

  @Test
  void hellaswag() throws IOException {
    assertThat(
            prompts(
                "hellaswag",
                "validation",
                "{\"activity_label\": \"Tea\", \"ctx_a\": \"A [header] b.\", \"ctx_b\": \"thEN\","
                    + " \"endings\": [\" x [title] y [step] z\", \"w\"], \"label\": \"1\"}"))
        .containsExactly("Tea: A b. Then| x. y z", "Tea: A b. Then| w");
  }

  @Test
  void wikitext() throws IOException {
    assertThat(
            prompts(
                "wikitext",
                "test",
                "{\"page\": \" = T = \\n\\n = = P = = \\n a 1 @,@ 000 ( b ) , half @-@ way . it 's"
                    + " \\\" so \\\" { c } N x °  \"}"))
        .containsExactly(" = T =\n\n== P ==\na 1,000 (b), half-way. it's \"so\" {c} 1 x° ");
  }

  @Test
  void logiqa() throws IOException {
    assertThat(
            prompts(
                "logiqa",
                "test",
                """
                {"label": "b\\n", "context": "C.", "question": "Q?", "options": ["w", "x", "y", "z"]}\
                """))
        .startsWith("Passage: C.\nQuestion: Q?\nChoices:\nA. w\nB. x\nC. y\nD. z\nAnswer:| w")
        .hasSize(4);
    assertThat(target("logiqa")).isEqualTo(1L);
  }

  @Test
  void wsc() throws IOException {
    assertThat(
            prompts(
                "wsc",
                "validation",
                """
                {"text": "The ant ( 東 ) did n't see  \\" it \\" .", "span2_index": 2,\
                 "span1_text": "The ant", "span2_text": "(", "label": 1}\
                """))
        .containsExactly(
            "Passage: The ant *(* 東) didn't see \"it\".\nQuestion: In the passage above, does the"
                + " pronoun \"*(*\" refer to \"*The ant*\"?\nAnswer:| no",
            "Passage: The ant *(* 東) didn't see \"it\".\nQuestion: In the passage above, does the"
                + " pronoun \"*(*\" refer to \"*The ant*\"?\nAnswer:| yes");
  }

  @Test
  void anliHasItsSplitsInItsNames() throws IOException {
    assertThat(
            prompts(
                "anli_r2",
                "test_r2",
                "{\"premise\": \"P.\", \"hypothesis\": \"H.\", \"label\": 2}"))
        .startsWith("P.\nQuestion: H. True, False, or Neither?\nAnswer:| True");
    assertThat(target("anli_r2")).isEqualTo("False");
  }

  @Test
  void headqaProstAndQa4mre() throws IOException {
    assertThat(
            prompts(
                "headqa_en",
                "test",
                "{\"qtext\": \"Q?\", \"ra\": 2, \"answers\": [{\"aid\": 1, \"atext\": \"a\"},"
                    + " {\"aid\": 2, \"atext\": \"b\"}]}"))
        .containsExactly("Question: Q?\nAnswer:| a", "Question: Q?\nAnswer:| b");
    assertThat(target("headqa_en")).isEqualTo(1L);
    assertThat(
            prompts(
                "prost",
                "test",
                "{\"A\": \"a\", \"B\": \"b\", \"C\": \"c\", \"D\": \"d\", \"context\": \"C.\","
                    + " \"ex_question\": \"Q?\", \"label\": 3}"))
        .startsWith("C.\nQuestion: Q?\nAnswer:| a")
        .hasSize(4);
    assertThat(
            prompts(
                "qa4mre_2012",
                "train",
                "{\"document_str\": \" D. \", \"question_str\": \"Q?\", \"correct_answer_id\":"
                    + " \"2\", \"answer_options\": {\"answer_id\": [\"1\", \"2\"], \"answer_str\":"
                    + " [\"a\", \"b\"]}}"))
        .containsExactly("D.\nQuestion: Q?\nAnswer:| a", "D.\nQuestion: Q?\nAnswer:| b");
    assertThat(target("qa4mre_2012")).isEqualTo(1L);
  }

  @Test
  void mathqa() throws IOException {
    assertThat(
            prompts(
                "mathqa",
                "test",
                "{\"Problem\": \"P?\", \"options\": \"a ) 3 , 5 , b ) 1,000 , c ) x , d ) y , e )"
                    + " none\", \"correct\": \"d\"}"))
        .containsExactly(
            "Question: P?\nAnswer:| 3",
            "Question: P?\nAnswer:| 1,000",
            "Question: P?\nAnswer:| x",
            "Question: P?\nAnswer:| y",
            "Question: P?\nAnswer:| none");
    assertThat(target("mathqa")).isEqualTo(3L);
  }

  @Test
  void arithmeticAndTriviaQa() throws IOException {
    assertThat(
            prompts(
                "arithmetic_3ds",
                "validation",
                "{\"context\": \"Q: What is 5 minus 4?\\n\\nA: \", \"completion\": \" 1\"}"))
        .containsExactly("Question: What is 5 minus 4?\nAnswer:| 1");
    assertThat(
            prompts(
                "triviaqa",
                "validation",
                "{\"question\": \"Who\", \"answer\": {\"aliases\": [\"A\", \"The A\"]}}"))
        .containsExactly("Question: Who?\nAnswer:|");
    assertThat(target("triviaqa")).isEqualTo(List.of("A", "The A"));
  }

  @Test
  void mmluNamesTheSubject() throws IOException {
    assertThat(
            prompts(
                "mmlu_us_foreign_policy",
                "test",
                "{\"question\": \" Q? \", \"choices\": [\"w\", \"x\", \"y\", \"z\"], \"answer\":"
                    + " 2}"))
        .endsWith(
            "The following are multiple choice questions (with answers) about us foreign"
                + " policy.\n\nQ?\nA. w\nB. x\nC. y\nD. z\nAnswer:| D");
  }

  @Test
  void blimpAndThePileHaveNoQuestion() throws IOException {
    assertThat(
            prompts(
                "blimp_wh_island",
                "train",
                "{\"sentence_good\": \"It is.\", \"sentence_bad\": \"Is it.\"}"))
        .containsExactly("| It is.", "| Is it.");
    assertThat(prompts("pile_dm-mathematics", "train", "{\"text\": \" a \"}"))
        .containsExactly(" a ");
  }

  @Test
  void familiesHaveAllTheirMembers() {
    TaskCatalog catalog = new TaskCatalog(List.of());
    for (Map.Entry<String, Integer> each :
        Map.of(
                "anli",
                3,
                "qa4mre",
                3,
                "arithmetic",
                10,
                "mmlu",
                57,
                "blimp",
                67,
                "mmlu_stem",
                19,
                "mmlu_other",
                13,
                "mmlu_social_sciences",
                12,
                "mmlu_humanities",
                13)
            .entrySet()) {
      assertThat(catalog.select(List.of(each.getKey())).tasks())
          .as(each.getKey())
          .hasSize(each.getValue());
    }
    assertThat(catalog.names().stream().filter(name -> name.startsWith("pile_"))).hasSize(23);
  }
}
