package dev.jneox.eval;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Compares the prompts of our own task files with texts that lm-evaluation-harness writes of the
 * same records; {@code bench/peers/lm_eval_tasks.py} compares more of them.
 */
class OwnTasksTest {
  @TempDir private Path data;

  private List<String> prompts(String name, String split, String record) throws IOException {
    Toys.write(data, name, split, record);
    TaskSpec spec = new TaskCatalog(List.of()).select(List.of(name)).tasks().getFirst();
    Task task = new Task(spec, new DataFolder(data), 0, 1234);
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
}
