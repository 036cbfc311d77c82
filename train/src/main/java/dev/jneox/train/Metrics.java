package dev.jneox.train;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Writes the numbers of each step where people look for them: as scalars for TensorBoard and as a
 * row of a table. A file that cannot be written is told of, and the run goes on without it.
 */
final class Metrics implements TrainingCallback {
  private static final List<String> COLUMNS =
      List.of(
          "loss",
          "lr",
          "grad_norm",
          "loss_scale",
          "skipped",
          "tokens",
          "tokens_per_second",
          "teraflops",
          "valid_loss");

  private final Path events; // null for none
  private final Path table; // null for none
  private RunLog<EventFile> board;
  private RunLog<MetricsCsv> csv;
  private int validatedAt = -1;
  private double validLoss;

  Metrics(NeoxConfig config) {
    Path save = config.checkpoint().save().orElse(null);
    events =
        config.run().tensorboardDir().orElse(save == null ? null : save.resolve("tensorboard"));
    table =
        config
            .run()
            .logDir()
            .or(() -> config.checkpoint().save())
            .map(dir -> dir.resolve("metrics.csv"))
            .orElse(null);
  }

  @Override
  public void atStart(Trainer trainer) {
    int first = trainer.iteration();
    board =
        new RunLog<>(
            trainer::note, () -> events == null ? null : EventFile.create(events, first + 1));
    csv =
        new RunLog<>(
            trainer::note,
            () -> table == null ? null : MetricsCsv.open(table, COLUMNS, first, trainer::note));
  }

  @Override
  public void afterEvaluation(String name, int iteration, double loss) {
    if (name.equals("validation")) {
      validatedAt = iteration;
      validLoss = loss;
    }
  }

  @Override
  public void afterStep(Trainer trainer, Trainer.Step step) {
    double valid = validatedAt == step.iteration() ? validLoss : Double.NaN;
    board.write(
        file -> {
          Map<String, Double> values = new LinkedHashMap<>();
          values.put("train/lm_loss", step.loss());
          values.put("train/learning_rate", step.lr());
          values.put("train/grad_norm", step.gradientNorm());
          values.put("train/loss_scale", step.lossScale());
          values.put("runtime/tokens_per_second", step.tokensPerSecond());
          values.put("runtime/teraflops", step.teraflops());
          if (!Double.isNaN(valid)) {
            values.put("validation/lm_loss", valid);
            values.put("validation/lm_loss_ppl", Math.exp(valid));
          }
          file.write(step.iteration(), values);
        });
    csv.write(
        rows ->
            rows.write(
                step.iteration(),
                Arrays.asList(
                    step.loss(),
                    step.lr(),
                    step.gradientNorm(),
                    step.lossScale(),
                    step.skipped() ? 1.0 : 0.0,
                    (double) trainer.state().tokens(),
                    step.tokensPerSecond(),
                    step.teraflops(),
                    Double.isNaN(valid) ? null : valid)));
  }

  @Override
  public void close() {
    for (RunLog<?> log : new RunLog<?>[] {csv, board}) {
      if (log != null) {
        log.close();
      }
    }
  }
}
