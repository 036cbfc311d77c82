package dev.jneox.cli.eval;

import dev.jneox.cli.Json;
import dev.jneox.cli.ModelOptions;
import dev.jneox.cli.ProgressLine;
import dev.jneox.eval.DataFolder;
import dev.jneox.eval.EvaluatedModel;
import dev.jneox.eval.Evaluation;
import dev.jneox.eval.EvaluationResults;
import dev.jneox.eval.ResultFiles;
import dev.jneox.eval.ResultTable;
import dev.jneox.eval.Selection;
import dev.jneox.eval.TaskCatalog;
import dev.jneox.infer.LanguageModel;
import dev.jneox.infer.Scorer;
import dev.jneox.io.InputException;
import dev.jneox.io.Progress;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Model.CommandSpec;

/** Evaluates a model on tasks and prints the results. */
final class TaskEvaluation {
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

  /** Prints the names of tasks, groups and tags. */
  static void list(TaskCatalog catalog, PrintWriter out) {
    for (String name : new TreeSet<>(catalog.names())) {
      out.println(catalog.groups().contains(name) ? name + " (group)" : name);
    }
    new java.util.TreeMap<>(catalog.tags())
        .forEach((tag, tasks) -> out.println(tag + " (tag): " + String.join(", ", tasks)));
    out.flush();
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
    Evaluation evaluation = new Evaluation(settings, new DataFolder(data));
    EvaluationResults results;
    long start = System.nanoTime();
    try (LanguageModel loaded = model.open();
        EvaluatedModel evaluated =
            new EvaluatedModel(loaded, Scorer.settings(loaded.packed(), options.batchSize()));
        Progress progress = ProgressLine.of("evaluating", "requests", -1)) {
      results = evaluation.run(selection, evaluated, progress);
    }
    double seconds = (System.nanoTime() - start) / 1e9;
    PrintWriter out = spec.commandLine().getOut();
    PrintWriter err = spec.commandLine().getErr();
    if (options.out() != null) {
      Path file = ResultFiles.write(folder(model), results, config(model, settings, seconds));
      err.println("results are in " + file);
    }
    if (json) {
      Map<String, Object> report = new LinkedHashMap<>();
      report.put("results", ResultFiles.scores(results));
      out.println(Json.line(report));
    } else {
      out.print(ResultTable.of(results));
    }
    out.flush();
  }

  /** Returns the folder of the model's results, by its name without what paths cannot have. */
  private Path folder(ModelOptions model) {
    return options.out().resolve(model.model().replaceAll("[\"<>:/|\\\\?*\\[\\]]+", "__"));
  }

  private Map<String, @Nullable Object> config(
      ModelOptions model, Evaluation.Settings settings, double seconds) {
    Map<String, @Nullable Object> config = new LinkedHashMap<>();
    config.put("model", "jneox");
    config.put("model_args", Map.of("model", model.model()));
    config.put("batch_size", options.batchSize());
    config.put("limit", limit);
    config.put("bootstrap_iters", settings.bootstrap());
    config.put("fewshot_seed", settings.seed());
    config.put("total_evaluation_time_seconds", seconds);
    return config;
  }
}
