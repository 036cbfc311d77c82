package dev.jneox.cli.eval;

import dev.jneox.cli.Json;
import dev.jneox.cli.ModelOptions;
import dev.jneox.cli.Usage;
import dev.jneox.eval.Comparison;
import dev.jneox.eval.Report;
import dev.jneox.eval.SavedResults;
import dev.jneox.infer.LanguageModel;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code jneox eval}: how well a model predicts documents, or does tasks. */
@Command(
    name = "eval",
    sortOptions = false,
    modelTransformer = ModelOptions.Several.class,
    description = {
      "Evaluate a model: on tasks (--tasks), with the numbers of lm-evaluation-harness, or by how"
          + " well it predicts documents (--file, --data).",
      "Of documents it prints loss, perplexity and bits per byte: of all together, of each"
          + " component where --data is of corpus build, then of each document.",
    },
    footer = {
      "",
      "Documents: each is read from an end-of-text token on, apart from the others; one beyond the"
          + " model's context in windows that follow each other, as lm-evaluation-harness reads"
          + " them. Below the loss stands that of a unigram model, which knows how often each"
          + " token comes among the others of these documents, and nothing of their order."
          + " bits_per_byte, byte_perplexity and word_perplexity are as the harness defines"
          + " them: sums over all documents, divided by the bytes of their texts in UTF-8, or by"
          + " the words between white space. Where --data has no text, because the model has no"
          + " tokenizer, they are left out.",
      "",
      "Tasks: the folder of --data has TASK/SPLIT.jsonl or TASK/SPLIT.parquet, with records as the"
          + " data set has them on the hub. Without --data they are fetched from the hub, as"
          + " Parquet, and kept in its cache; the commit stands in the results. The harness's own"
          + " task files, and files in their form, are read with --include-path. Examples of"
          + " prompts are drawn as the harness draws them, with seed 1234. Log-likelihoods do not"
          + " depend on --batch-size.",
      "",
      "Several models (--model again, --checkpoints, ORG/NAME@REV,REV) are evaluated one after"
          + " another and printed as one table. --compare tests the differences of two models that"
          + " were evaluated with --out: McNemar's exact test where a document is right or wrong,"
          + " else a permutation test with seed 1234, and the paired standard error.",
      "",
      "Examples:",
      "  jneox eval --model DIR --file held-out.jsonl",
      "  jneox eval --model DIR --data data/valid --limit 100 --json",
      "  jneox eval --tasks list,arc_easy",
      "  jneox eval --model DIR --tasks arc_easy,piqa --data datasets --num-fewshot 5",
      "  jneox eval --model RUN --checkpoints --tasks piqa --data datasets --out scores",
      "  jneox eval --compare scores/A scores/B --out compared"
    })
final class EvalCommand implements Runnable {
  @Spec private CommandSpec spec;

  @Mixin private ModelOptions model;

  @Option(
      names = "--file",
      paramLabel = "FILE",
      description =
          "Documents: a file or folder of .jsonl, .txt, .zip and the like, as prepare takes"
              + " them; may be given several times.")
  private List<Path> files;

  @Option(
      names = "--data",
      paramLabel = "PREFIX|DIR",
      description = {
        "Documents as token ids, PREFIX.bin and PREFIX.idx of prepare or GPT-NeoX, tokenized"
            + " as the model's texts are.",
        "With --tasks, the folder of the data sets. Default: the hub, from which they are fetched"
            + " once."
      })
  private Path data;

  @Option(
      names = "--tasks",
      split = ",",
      paramLabel = "TASK",
      description =
          "Tasks, groups and tags, with commas between them. list prints them all, list,arc* those"
              + " of a name, and list,NAME what the data of a task need; with --json as JSON.")
  private List<String> tasks;

  @Mixin private TaskOptions taskOptions;

  @Option(
      names = "--compare",
      arity = "2",
      paramLabel = "DIR",
      description = "Compare the results of two models, DIR/MODEL of --out each, task by task.")
  private List<Path> compare;

  @Option(
      names = "--limit",
      paramLabel = "N",
      description = "Read the first N documents only, of each task. Default: all.")
  private Integer limit;

  @Option(
      names = "--json",
      description =
          "Print one line of JSON: losses in nats per token, or the numbers of tasks as the harness"
              + " names them.")
  private boolean json;

  @Option(
      names = {"-h", "--help"},
      usageHelp = true,
      description = "Show this help.")
  private boolean help;

  @Override
  public void run() {
    Usage.require(spec, limit == null || limit >= 1, "--limit", "1 or more", limit);
    if (compare != null) {
      compare();
      return;
    }
    if (tasks == null) {
      if ((files == null) == (data == null)) {
        throw new ParameterException(
            spec.commandLine(),
            files == null
                ? "Missing required option: one of --file, --data, --tasks, --compare"
                : "--file and --data exclude each other: give one of them");
      }
      taskOptions.refuse(spec);
    } else if (files != null) {
      throw new ParameterException(spec.commandLine(), "--tasks reads --data DIR, not --file");
    }
    if (tasks != null && !tasks.isEmpty() && tasks.getFirst().equals("list")) {
      List<String> patterns = tasks.subList(1, tasks.size()).stream().map(String::strip).toList();
      TaskEvaluation.list(taskOptions.catalog(), patterns, data, json, spec.commandLine().getOut());
      return;
    }
    List<String> models = model.models();
    if (tasks == null) {
      if (models.size() > 1) {
        throw new ParameterException(
            spec.commandLine(), "several --model are for --tasks; documents take one");
      }
      Path path = ModelOptions.path(models.getFirst(), spec.commandLine().getErr());
      try (LanguageModel loaded = model.open(path)) {
        new DocumentEvaluation(spec.commandLine().getOut(), files, data, limit, json)
            .run(loaded, path);
      }
      return;
    }
    List<String> names = tasks.stream().map(String::strip).filter(n -> !n.isEmpty()).toList();
    new TaskEvaluation(spec, taskOptions, data, limit, json).run(model, names);
  }

  private void compare() {
    if (tasks != null
        || files != null
        || data != null
        || limit != null
        || spec.commandLine().getParseResult().hasMatchedOption("--model")) {
      throw new ParameterException(
          spec.commandLine(), "--compare reads results: it goes with --out and --json alone");
    }
    taskOptions.refuseButOut(spec);
    SavedResults a = SavedResults.read(compare.getFirst());
    SavedResults b = SavedResults.read(compare.getLast());
    Comparison comparison = Comparison.of(a, b);
    PrintWriter out = spec.commandLine().getOut();
    if (json) {
      out.println(Json.line(comparison.json()));
    } else {
      out.print(comparison.table());
      out.println();
      out.println(comparison.method());
    }
    out.flush();
    if (taskOptions.out() != null) {
      Path report = taskOptions.out().resolve(TaskEvaluation.REPORT);
      Report.write(report, List.of(a, b), List.of(a, b));
      spec.commandLine().getErr().println("the report is in " + report);
    }
  }
}
