package dev.jneox.cli.eval;

import dev.jneox.cli.Json;
import dev.jneox.cli.ModelOptions;
import dev.jneox.cli.ProgressLine;
import dev.jneox.eval.AnswerLog;
import dev.jneox.eval.CurveFile;
import dev.jneox.eval.DataFolder;
import dev.jneox.eval.EvaluatedModel;
import dev.jneox.eval.Evaluation;
import dev.jneox.eval.EvaluationResults;
import dev.jneox.eval.HubData;
import dev.jneox.eval.ModelName;
import dev.jneox.eval.ModelScores;
import dev.jneox.eval.Report;
import dev.jneox.eval.ResultFiles;
import dev.jneox.eval.ResultTable;
import dev.jneox.eval.SavedResults;
import dev.jneox.eval.ScoreTable;
import dev.jneox.eval.Selection;
import dev.jneox.eval.TaskCatalog;
import dev.jneox.eval.TaskSpec;
import dev.jneox.eval.TaskSummary;
import dev.jneox.format.ModelFiles;
import dev.jneox.format.neox.RunFolder;
import dev.jneox.hub.Hub;
import dev.jneox.hub.HubSettings;
import dev.jneox.infer.LanguageModel;
import dev.jneox.infer.Scorer;
import dev.jneox.io.InputException;
import dev.jneox.io.Progress;
import dev.jneox.io.VisibleText;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalInt;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Model.CommandSpec;

/** Evaluates a model on tasks and prints the results. */
final class TaskEvaluation {
  /** The name of the page of results. */
  static final String REPORT = "report.html";

  private static final String ANSWERS = "answers.jsonl";

  private final CommandSpec spec;
  private final TaskOptions options;
  private final @Nullable Path data;
  private final @Nullable Integer limit;
  private final boolean json;

  TaskEvaluation(
      CommandSpec spec,
      TaskOptions options,
      @Nullable Path data,
      @Nullable Integer limit,
      boolean json) {
    this.spec = spec;
    this.options = options;
    this.data = data;
    this.limit = limit;
    this.json = json;
  }

  /**
   * Prints what tasks and groups there are, and the tags; of one alone, what its data need.
   *
   * @param patterns as {@link TaskCatalog#summaries} takes them
   */
  static void list(
      TaskCatalog catalog,
      List<String> patterns,
      @Nullable Path data,
      boolean json,
      PrintWriter out) {
    List<TaskSummary> summaries = catalog.summaries(patterns);
    if (json) {
      out.println(Json.line(summaries.stream().map(TaskSummary::json).toList()));
    } else if (summaries.size() == 1 && !patterns.isEmpty()) {
      detail(catalog, summaries.getFirst(), data, out);
    } else {
      table(summaries, out);
      if (patterns.isEmpty()) {
        new TreeMap<>(catalog.tags())
            .forEach((tag, tasks) -> out.println(tag + " (tag): " + String.join(", ", tasks)));
        out.println("\n--tasks list,NAME says what the data of a task need.");
      }
    }
    out.flush();
  }

  private static void table(List<TaskSummary> summaries, PrintWriter out) {
    List<List<String>> rows = new ArrayList<>();
    rows.add(List.of("name", "kind", "evaluated split", "data set on the hub, or members"));
    for (TaskSummary each : summaries) {
      rows.add(
          List.of(
              each.name(),
              each.kind(),
              each.split(),
              each.members().isEmpty() ? each.dataset() : String.join(", ", each.members())));
    }
    int[] widths = new int[3];
    rows.forEach(row -> Arrays.setAll(widths, i -> Math.clamp(row.get(i).length(), widths[i], 48)));
    for (List<String> row : rows) {
      StringBuilder line = new StringBuilder();
      for (int i = 0; i < widths.length; i++) {
        line.append(row.get(i)).repeat(" ", Math.max(0, widths[i] - row.get(i).length()) + 2);
      }
      out.println(VisibleText.line(line + row.getLast()).stripTrailing());
    }
  }

  private static void detail(
      TaskCatalog catalog, TaskSummary task, @Nullable Path data, PrintWriter out) {
    out.println(task.name() + ": " + task.kind());
    if (!task.problem().isEmpty()) {
      out.println("  " + VisibleText.line(task.problem()));
      return;
    }
    if (!task.members().isEmpty()) {
      out.println("  members: " + String.join(", ", task.members()));
      return;
    }
    out.println("  metrics: " + String.join(", ", task.metrics()));
    if (!task.dataset().isEmpty()) {
      out.println("  data set on the hub: " + task.dataset());
    }
    String folder = "DIR/" + task.name() + "/";
    out.printf(
        "  files below --data DIR: %s%s.jsonl or .parquet%s%n",
        folder,
        task.split(),
        task.exampleSplit().equals(task.split())
            ? ""
            : "; with --num-fewshot " + folder + task.exampleSplit() + ".jsonl too");
    task.settings()
        .forEach(
            (key, value) ->
                out.println("  " + key + ": " + VisibleText.of(value.replace("\n", "\\n"))));
    out.printf(
        "  fields of a record that the templates take%s: %s%n",
        task.settings().containsKey("process_docs") ? ", as process_docs makes them" : "",
        String.join(", ", task.fields()));
    if (data != null) {
      TaskSpec spec = catalog.select(List.of(task.name())).tasks().getFirst();
      out.println("  first record: " + Json.line(new DataFolder(data).first(spec).fields()));
    } else {
      out.println("  With --data DIR, its first record is shown.");
    }
  }

  void run(ModelOptions model, List<String> names) {
    options.check(spec);
    if (names.isEmpty()) {
      throw new InputException("--tasks: expected names of tasks, found none; list prints them");
    }
    if (options.out() != null && Files.exists(options.out()) && !Files.isDirectory(options.out())) {
      throw new InputException(options.out() + ": expected a folder for results, found a file");
    }
    Selection selection = options.catalog().select(names);
    Evaluation.Settings settings =
        Evaluation.Settings.DEFAULT
            .withFewshot(options.fewshot())
            .withLimit(limit == null ? OptionalInt.empty() : OptionalInt.of(limit))
            .withBootstrap(options.bootstrap());
    PrintWriter err = spec.commandLine().getErr();
    try (Hub hub = ModelOptions.hub(HubSettings.ofEnvironment())) {
      Evaluation evaluation =
          new Evaluation(
              settings,
              folder(hub),
              note -> {
                err.println("jneox: " + VisibleText.line(note));
                err.flush();
              });
      run(model, evaluation, selection, settings);
    }
  }

  /** Returns where data are: in the folder that was given, else on the hub. */
  private DataFolder folder(Hub hub) {
    return data != null
        ? new DataFolder(data)
        : DataFolder.of(
            new HubData(hub, (name, bytes) -> ProgressLine.bytes("downloading " + name, bytes)));
  }

  private void run(
      ModelOptions model,
      Evaluation evaluation,
      Selection selection,
      Evaluation.Settings settings) {
    Set<String> models = models(model.models());
    Evaluation.Ready ready = evaluation.prepare(selection);
    List<ModelScores> scores = new ArrayList<>();
    List<Map<String, Object>> reports = new ArrayList<>();
    PrintWriter out = spec.commandLine().getOut();
    PrintWriter err = spec.commandLine().getErr();
    for (String each : models) {
      ModelName name = ModelName.of(each);
      if (models.size() > 1) {
        err.printf("model %d of %d: %s%n", scores.size() + 1, models.size(), each);
        err.flush();
      }
      EvaluationResults results = evaluate(model, name, evaluation, ready, settings);
      if (models.size() == 1 && !json) {
        out.print(ResultTable.of(results));
      }
      scores.add(ModelScores.of(name, results));
      Map<String, Object> report = new LinkedHashMap<>();
      if (models.size() > 1) {
        report.put("model", each);
        name.step().ifPresent(step -> report.put("step", step));
      }
      report.put("results", ResultFiles.scores(results));
      reports.add(report);
    }
    if (json) {
      out.println(Json.line(reports.size() == 1 ? reports.getFirst() : Map.of("models", reports)));
    } else if (models.size() > 1) {
      out.print(ScoreTable.of(scores));
    }
    out.flush();
    if (options.out() != null) {
      writeReport(scores.getFirst().model(), scores.getLast().model());
    }
  }

  /** Lists the models that the values of {@code --model} stand for, each once. */
  private Set<String> models(List<String> values) {
    Set<String> models = new LinkedHashSet<>();
    boolean run = false;
    for (String value : values) {
      Path path = Path.of(value);
      if (Files.isDirectory(path) && ModelFiles.isRun(path)) {
        run = true;
        (options.checkpoints()
                ? RunFolder.of(path).checkpoints()
                : List.of(ModelFiles.resolve(path)))
            .forEach(checkpoint -> models.add(checkpoint.toString()));
      } else {
        int at = Files.exists(path) ? -1 : value.indexOf('@');
        for (String revision : value.substring(at + 1).split(",")) {
          models.add(at < 0 ? value : value.substring(0, at + 1) + revision.strip());
        }
      }
    }
    if (options.checkpoints() && !run) {
      throw new InputException(
          "--checkpoints: expected the folder of a run of train as --model, found "
              + String.join(", ", values));
    }
    return models;
  }

  private EvaluationResults evaluate(
      ModelOptions model,
      ModelName name,
      Evaluation evaluation,
      Evaluation.Ready ready,
      Evaluation.Settings settings) {
    PrintWriter err = spec.commandLine().getErr();
    Path folder = options.out() == null ? null : options.out().resolve(name.folder());
    long start = System.nanoTime();
    EvaluationResults results;
    long found;
    long done;
    try (LanguageModel loaded = model.open(ModelOptions.path(name.name(), err));
        EvaluatedModel evaluated =
            new EvaluatedModel(loaded, Scorer.settings(loaded.packed(), options.batchSize()));
        AnswerLog log =
            folder == null
                ? null
                : AnswerLog.open(folder.resolve(ANSWERS), evaluated.hash(), options.force());
        Progress progress = ProgressLine.of("evaluating", "requests", -1)) {
      results = evaluation.run(ready, evaluated, log, progress);
      found = log == null ? 0 : log.found();
      done = progress.done();
    }
    if (folder != null) {
      if (found > 0) {
        err.printf(
            Locale.ROOT, "%,d of %,d answers were in %s%n", found, done, folder.resolve(ANSWERS));
      }
      double seconds = (System.nanoTime() - start) / 1e9;
      Path file = ResultFiles.write(folder, name, results, config(name, settings, seconds));
      err.println("results are in " + file);
    }
    return results;
  }

  /** Writes what there is of all models in the folder; two of this run are compared. */
  private void writeReport(ModelName first, ModelName last) {
    List<SavedResults> all = SavedResults.below(options.out());
    List<SavedResults> shown =
        Stream.of(first, last)
            .distinct()
            .flatMap(name -> all.stream().filter(each -> each.model().equals(name)))
            .toList();
    CurveFile.write(
        options.out().resolve("curves.csv"), all.stream().map(SavedResults::scores).toList());
    Path report = options.out().resolve(REPORT);
    Report.write(report, all, shown);
    spec.commandLine().getErr().println("the report is in " + report);
  }

  private Map<String, @Nullable Object> config(
      ModelName name, Evaluation.Settings settings, double seconds) {
    Map<String, @Nullable Object> config = new LinkedHashMap<>();
    config.put("model", "jneox");
    config.put("model_args", Map.of("model", name.name()));
    config.put("batch_size", options.batchSize());
    config.put("limit", limit);
    config.put("bootstrap_iters", settings.bootstrap());
    config.put("fewshot_seed", settings.seed());
    config.put("total_evaluation_time_seconds", seconds);
    return config;
  }
}
