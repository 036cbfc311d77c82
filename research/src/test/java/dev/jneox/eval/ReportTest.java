package dev.jneox.eval;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalDouble;
import java.util.OptionalLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What is made of the results of several models: the table, the curves, the page. */
class ReportTest {
  @TempDir private Path folder;

  private static ModelScores scores(String name, double acc) {
    Score score = new Score("acc", "none", acc, OptionalDouble.of(0.01), true);
    Score loss = new Score("bits_per_byte", "none", 1 - acc, OptionalDouble.empty(), false);
    return new ModelScores(
        ModelName.of(name),
        List.of(
            new ModelScores.Entry("t", "a task, named", score, OptionalDouble.of(0.5)),
            new ModelScores.Entry("u", "u", loss, OptionalDouble.empty())));
  }

  @Test
  void namesSayRunAndStep() {
    assertThat(ModelName.of("runs/a/global_step120"))
        .isEqualTo(new ModelName("runs/a/global_step120", "runs/a", OptionalLong.of(120)));
    assertThat(ModelName.of("ORG/NAME@step3000"))
        .isEqualTo(new ModelName("ORG/NAME@step3000", "ORG/NAME", OptionalLong.of(3000)));
    assertThat(ModelName.of("ORG/NAME@main").step()).isEmpty();
    assertThat(ModelName.of("ORG/NAME@step3000").folder()).isEqualTo("ORG__NAME@step3000");
  }

  @Test
  void theTableFitsATerminalAndKeepsTheEndsOfNames() {
    String long1 = "/a/very/long/way/to/the/folder/of/the/runs/first-run-of-all/global_step";
    List<ModelScores> models = List.of(scores(long1 + 1000, 0.5), scores(long1 + 2000, 0.75));
    String table = ScoreTable.of(models);
    assertThat(table)
        .isEqualTo(
            """
            |Tasks        |Metric       | |Model          | Value| |Stderr|
            |-------------|-------------|-|---------------|-----:|-|-----:|
            |a task, named|acc          |↑|global_step1000|0.5000|±|0.0100|
            |             |             | |global_step2000|0.7500|±|0.0100|
            |u            |bits_per_byte|↓|global_step1000|0.5000|±|   N/A|
            |             |             | |global_step2000|0.2500|±|   N/A|
            """);
    List<ModelScores> others = List.of(models.getFirst(), scores("x".repeat(90) + "-end", 0.1));
    assertThat(ScoreTable.of(others).lines())
        .allMatch(line -> line.length() <= 80)
        .anyMatch(line -> line.contains("...xxx") && line.contains("-end|"))
        .anyMatch(line -> line.contains("...") && line.contains("global_step1000|"));
  }

  @Test
  void curvesAreRows() throws IOException {
    Path file = folder.resolve("curves.csv");
    CurveFile.write(
        file, List.of(scores("r,1/global_step5", 0.5), scores("r,1/global_step10", 0.75)));
    assertThat(file)
        .hasContent(
            """
            model,step,task,metric,filter,value,stderr,chance
            "r,1",5,t,acc,none,0.5,0.01,0.5
            "r,1",5,u,bits_per_byte,none,0.5,,
            "r,1",10,t,acc,none,0.75,0.01,0.5
            "r,1",10,u,bits_per_byte,none,0.25,,
            """);
  }

  private SavedResults save(String model, int step, double acc, String prompt) throws IOException {
    Path out = Files.createDirectories(folder.resolve(model + step));
    Files.writeString(
        out.resolve("results_2026-01-01.json"),
        """
        {"results": {"t": {"alias": "t", "acc,none": %s, "acc_stderr,none": 0.1}},
         "higher_is_better": {"t": {"acc": true}}, "chance": {"t": 0.25},
         "model_name": "%s/global_step%d"}
        """
            .formatted(acc, model, step));
    Files.writeString(
        out.resolve("samples_t_2026-01-01.jsonl"),
        """
        {"doc_id": 0, "filter": "none", "doc_hash": "h", "metrics": ["acc"], "acc": %d, "target": "1",\
        "arguments": {"gen_args_0": {"arg_0": "%s", "arg_1": " yes"},\
        "gen_args_1": {"arg_0": "%s", "arg_1": " no"}},\
        "filtered_resps": [["-1.5", "False"], ["-inf", "False"]]}
        """
            .formatted(acc > 0.5 ? 1 : 0, prompt, prompt));
    return SavedResults.read(out);
  }

  @Test
  void thePageNeedsNothingElseAndShowsTextsAsTheyAre() throws IOException {
    String evil = "</script><script>alert(1)</script><b>&";
    List<SavedResults> all = new ArrayList<>();
    for (int step : List.of(1, 10, 1000)) {
      all.add(save("<run>", step, step == 1 ? 0.25 : 0.75, evil));
    }
    Path page = folder.resolve("report.html");
    Report.write(page, all, List.of(all.getFirst(), all.getLast()));
    String text = Files.readString(page);
    assertThat(text).doesNotContain("alert(1)</script>", "<run>", "http:", "https:", "src=");
    assertThat(text).contains("&lt;run&gt;/global_step1000", "\\u003c/script>");
    assertThat(text).contains("<svg", "class=\"chance\"", "step 10: 0.7500 ± 0.1000");
    // A logarithmic axis: the same distance from 1 to 10 as from 10 to 100.
    assertThat(text).contains(">1</text>", ">10</text>", ">100</text>", ">1000</text>");
    assertThat(text).contains("<h2>Comparison</h2>", "\"responses\":[\"-1.5000\",\"-Infinity\"]");
  }

  @Test
  void aPageOfOneModelHasNoCurves() throws IOException {
    SavedResults only = save("m", 1, 1, "prompt");
    Path page = folder.resolve("report.html");
    Report.write(page, List.of(only), List.of(only));
    assertThat(Files.readString(page))
        .contains("<h2>Scores</h2>", "<h2>Documents</h2>")
        .doesNotContain("Learning curves", "Comparison");
  }
}
