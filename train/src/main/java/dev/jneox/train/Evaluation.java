package dev.jneox.train;

import dev.jneox.data.Dataset;
import java.util.Optional;
import java.util.OptionalDouble;

/**
 * Computes the loss on the validation data every {@code eval_interval} steps and after the last,
 * and on the test data at the end of the run. Each validation reads the batches that GPT-NeoX reads
 * after the same iteration. The test reads the first batches. A run that was asked to stop is not
 * evaluated.
 */
final class Evaluation implements TrainingCallback {
  private final NeoxConfig config;
  private final TrainingData data;
  private int validatedAt = -1;

  Evaluation(NeoxConfig config, TrainingData data) {
    this.config = config;
    this.data = data;
  }

  @Override
  public void afterStep(Trainer trainer, Trainer.Step step) {
    if (trainer.isStopping()) {
      return;
    }
    if (trainer.endsHere() || step.iteration() % config.run().evalInterval() == 0) {
      validate(trainer);
    }
  }

  @Override
  public void atEnd(Trainer trainer) {
    if (trainer.isStopping()) {
      return;
    }
    if (validatedAt != trainer.iteration()) {
      validate(trainer);
    }
    if (trainer.iteration() == trainer.iterations()) {
      evaluate(trainer, "test", data.test(), 0);
    }
  }

  private void validate(Trainer trainer) {
    int n = trainer.iteration();
    long first = (long) n / config.run().evalInterval() * batches();
    if (evaluate(trainer, "validation", data.valid(), first)) {
      validatedAt = n;
    }
  }

  /** Computes and reports a mean loss; returns false without a data set, or when it was stopped. */
  private boolean evaluate(Trainer trainer, String name, Optional<Dataset> dataset, long first) {
    if (dataset.isEmpty()) {
      return false;
    }
    OptionalDouble loss = trainer.meanLoss(dataset.get(), first, batches());
    loss.ifPresent(
        value ->
            trainer.tell(callback -> callback.afterEvaluation(name, trainer.iteration(), value)));
    return loss.isPresent();
  }

  private int batches() {
    return config.run().evalIters() * config.batch().microBatches();
  }
}
