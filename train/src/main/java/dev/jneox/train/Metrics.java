package dev.jneox.train;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Writes the numbers of each step as scalars for TensorBoard and as a row of {@code metrics.csv}. A
 * file that cannot be written gives a warning, and the run goes on without it.
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
          "waiting",
          "bytes_sent",
          "restarts",
          "time_lost",
          "goodput",
          "valid_loss");

  private final Optional<Path> events;
  private final Optional<Path> table;
  private RunLog<EventFile> board = RunLog.none();
  private RunLog<MetricsCsv> csv = RunLog.none();
  private int validatedAt = -1;
  private double validLoss;

  Metrics(NeoxConfig config) {
    Optional<Path> save = config.checkpoint().save();
    events = config.run().tensorboardDir().or(() -> save.map(dir -> dir.resolve("tensorboard")));
    table = config.run().logDir().or(() -> save).map(dir -> dir.resolve("metrics.csv"));
  }

  @Override
  public void atStart(Trainer trainer) {
    int first = trainer.iteration();
    events.ifPresent(
        folder -> board = new RunLog<>(trainer::note, () -> EventFile.create(folder, first + 1)));
    table.ifPresent(
        file ->
            csv =
                new RunLog<>(
                    trainer::note, () -> MetricsCsv.open(file, COLUMNS, first, trainer::note)));
  }

  @Override
  public void afterEvaluation(String name, int iteration, double loss) {
    if (name.equals("validation")) {
      validatedAt = iteration;
      validLoss = loss;
    }
  }

  @Override
  public void afterMeasurement(int iteration, Map<String, Double> values) {
    board.write(file -> file.write(iteration, values));
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
          double[] parts = trainer.partNorms();
          for (int part = 0; part < parts.length; part++) {
            String name =
                part == 0
                    ? "embedding"
                    : part == parts.length - 1 ? "head" : "layer_%02d".formatted(part - 1);
            values.put("gradient_norms/" + name, parts[part]);
          }
          values.put("runtime/tokens_per_second", step.tokensPerSecond());
          values.put("runtime/teraflops", step.teraflops());
          values.put("runtime/waiting", step.waited() / step.seconds());
          values.put("runtime/bytes_sent", step.sent());
          values.put("runtime/restarts", (double) trainer.goodput().restarts());
          values.put("runtime/time_lost", trainer.goodput().lostSeconds());
          values.put("runtime/goodput", trainer.goodput().share());
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
                    step.waited() / step.seconds(),
                    step.sent(),
                    (double) trainer.goodput().restarts(),
                    trainer.goodput().lostSeconds(),
                    trainer.goodput().share(),
                    Double.isNaN(valid) ? null : valid)));
  }

  @Override
  public void close() {
    csv.close();
    board.close();
  }
}
