package dev.jneox.cli.train;

import dev.jneox.cli.ModelOptions;
import dev.jneox.cli.ProgressLine;
import dev.jneox.dist.Ranks;
import dev.jneox.eval.DataFolder;
import dev.jneox.eval.EvaluatedModel;
import dev.jneox.eval.Evaluation;
import dev.jneox.eval.EvaluationResults;
import dev.jneox.eval.HubData;
import dev.jneox.eval.ModelName;
import dev.jneox.eval.ModelScores;
import dev.jneox.eval.Score;
import dev.jneox.eval.TaskCatalog;
import dev.jneox.hub.Hub;
import dev.jneox.hub.HubSettings;
import dev.jneox.infer.PackedModel;
import dev.jneox.infer.Precision;
import dev.jneox.infer.Scorer;
import dev.jneox.io.JneoxException;
import dev.jneox.io.Progress;
import dev.jneox.tokenizer.Tokenizer;
import dev.jneox.tokenizer.TokenizerJson;
import dev.jneox.train.MetricsCsv;
import dev.jneox.train.NeoxConfig;
import dev.jneox.train.Trainer;
import dev.jneox.train.TrainingCallback;
import dev.jneox.weights.ModelWeights;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import org.jspecify.annotations.Nullable;

/**
 * Evaluates tasks with the model that is being trained, every {@code eval_interval} steps and after
 * the last. The scores are printed, are metrics of the run, and rows of {@code tasks.csv}. Of
 * several processes each has the callback, and the first one evaluates.
 */
final class TaskScores implements TrainingCallback {
  /** Samples for a standard error that no formula gives; it should not hold up the training. */
  private static final int BOOTSTRAP = 1000;

  private final PrintWriter out;
  private final NeoxConfig config;
  private final Tokenizer tokenizer;
  private final Path vocabulary;
  private final @Nullable Evaluation evaluation; // on the first process alone
  private final Evaluation.@Nullable Ready tasks;
  private @Nullable MetricsCsv table;
  private int startedAt;

  /**
   * Makes the callback; reads the data and writes the prompts.
   *
   * @param tokenizer of the run
   * @param vocabulary its file
   * @param data folder of the tasks' data; empty for the hub
   * @throws dev.jneox.io.InputException if there is no such task, or its data are not there
   */
  TaskScores(
      PrintWriter out,
      NeoxConfig config,
      Tokenizer tokenizer,
      Path vocabulary,
      Optional<Path> data,
      Ranks ranks) {
    this.out = out;
    this.config = config;
    this.tokenizer = tokenizer;
    this.vocabulary = vocabulary;
    if (!ranks.isFirst()) {
      this.evaluation = null;
      this.tasks = null;
      return;
    }
    try (Hub hub = ModelOptions.hub(HubSettings.ofEnvironment())) {
      this.evaluation =
          new Evaluation(
              Evaluation.Settings.DEFAULT
                  .withLimit(config.run().evalTaskLimit())
                  .withBootstrap(BOOTSTRAP),
              data.map(DataFolder::new)
                  .orElseGet(
                      () ->
                          DataFolder.of(
                              new HubData(
                                  hub,
                                  (name, bytes) ->
                                      ProgressLine.bytes("downloading " + name, bytes)))));
      this.tasks = evaluation.prepare(new TaskCatalog(List.of()).select(config.run().evalTasks()));
    }
  }

  @Override
  public void atStart(Trainer trainer) {
    startedAt = trainer.iteration();
  }

  @Override
  public void afterStep(Trainer trainer, Trainer.Step step) {
    int n = step.iteration();
    if (n != trainer.iterations() && n % config.run().evalInterval() != 0) {
      return;
    }
    try {
      trainer.readWeights(weights -> evaluate(trainer, weights));
    } catch (JneoxException e) {
      out.println("no scores of tasks after step " + n + ": " + e.getMessage());
    }
    out.flush();
  }

  private void evaluate(Trainer trainer, ModelWeights weights) {
    if (evaluation == null || tasks == null) {
      throw new IllegalStateException("the weights of all are read on the first process");
    }
    EvaluationResults results;
    try (PackedModel packed = PackedModel.of(weights, Precision.STORED);
        EvaluatedModel model =
            new EvaluatedModel(
                packed,
                tokenizer,
                TokenizerJson.read(vocabulary, config.data().mergeFile()),
                vocabulary,
                Scorer.settings(packed));
        Progress progress = ProgressLine.of("evaluating", "requests", -1)) {
      results = evaluation.run(tasks, model, null, progress);
    }
    ModelScores scores = ModelScores.of(ModelName.of("model"), results);
    Map<String, Double> values = new LinkedHashMap<>();
    for (ModelScores.Entry entry : scores.entries()) {
      Score score = entry.score();
      OptionalDouble error = score.standardError();
      out.printf(
          Locale.ROOT,
          "step %d, %s %s %.4f%s%n",
          trainer.iteration(),
          entry.task(),
          score.filter().equals("none") ? score.metric() : score.key(),
          score.value(),
          error.isPresent() ? String.format(Locale.ROOT, " ± %.4f", error.getAsDouble()) : "");
      values.put("validation/" + entry.task() + "_" + score.key(), score.value());
      error.ifPresent(e -> values.put("validation/" + entry.task() + "_" + score.errorKey(), e));
    }
    trainer.report(values);
    write(trainer, scores);
  }

  private void write(Trainer trainer, ModelScores scores) {
    if (config.checkpoint().save().isEmpty()) {
      return;
    }
    List<String> columns = new ArrayList<>();
    List<@Nullable Double> row = new ArrayList<>();
    for (ModelScores.Entry entry : scores.entries()) {
      Score score = entry.score();
      String filter = score.filter().equals("none") ? "" : "_" + score.filter();
      OptionalDouble error = score.standardError();
      columns.add(entry.task() + "_" + score.metric() + filter);
      row.add(score.value());
      columns.add(entry.task() + "_" + score.metric() + "_stderr" + filter);
      row.add(error.isPresent() ? error.getAsDouble() : null);
    }
    if (table == null) {
      Path file = config.checkpoint().save().get().resolve("tasks.csv");
      table = MetricsCsv.open(file, columns, startedAt, out::println);
    }
    table.write(trainer.iteration(), row);
  }

  @Override
  public void close() {
    if (table != null) {
      table.close();
    }
  }
}
