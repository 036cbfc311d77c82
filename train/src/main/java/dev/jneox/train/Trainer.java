package dev.jneox.train;

import dev.jneox.data.Dataset;
import dev.jneox.io.InputException;
import dev.jneox.model.ModelConfig;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.bytedeco.pytorch.Tensor;

/**
 * The training loop: read a batch, compute the gradient, step, tell, and now and then validate and save. The same configuration, data
 * and machine give the same losses to the last bit, whether a run goes through or is resumed.
 *
 * <pre>{@code
 *   for each iteration
 *     for each micro-batch: loss, gradient          (GradientStep)
 *     clip, update                                  (AdamW, LearningRate, LossScaler)
 *     validate every eval_interval, save every checkpoint_factor
 * }</pre>
 */
public final class Trainer implements AutoCloseable {
  private static final List<String> COLUMNS = List.of(
      "loss", "lr", "grad_norm", "loss_scale", "skipped", "tokens", "tokens_per_second", "teraflops", "valid_loss");

  /**
   * What one iteration did.
   *
   * @param iteration from 1
   * @param loss mean over the batch, in nats a token
   * @param lr the rate of this step
   * @param gradientNorm before clipping, loss scale taken out
   * @param skipped whether gradients overflowed and nothing was updated
   * @param tokens of this iteration
   * @param seconds this iteration took
   * @param flops floating-point operations of the model this iteration, by {@link ModelConfig#trainingFlops}
   */
  public record Step(
      int iteration, double loss, double lr, double gradientNorm, double lossScale, boolean skipped, long tokens, double seconds,
      double flops) {
    public double tokensPerSecond() {
      return tokens / seconds;
    }

    /** TFLOP/s. */
    public double teraflops() {
      return flops / seconds / 1e12;
    }
  }

  /** Who looks on. Called on the training thread. */
  public interface Listener {
    default void stepped(Step step) {}

    /** After a validation, or at the end the test; {@code loss} in nats a token. */
    default void evaluated(String name, int iteration, double loss) {}

    default void saved(Path checkpoint, int iteration) {}
  }

  private final NeoxConfig config;
  private final ModelConfig model;
  private final Path tokenizer;
  private final TrainingData data;
  private final Parameters parameters;
  private final GradientStep gradients;
  private final AdamW adam;
  private final LearningRate schedule;
  private final int maskedId;
  private Checkpoint.State state;
  private Path lastCheckpoint;

  /**
   * A run at its start, or where the newest checkpoint in the configuration's {@code load} left it.
   *
   * @param vocabulary ids of the tokenizer
   * @param endOfText its end-of-document id, or -1
   * @param tokenizer copied into every checkpoint, or null
   */
  public Trainer(NeoxConfig config, int vocabulary, int endOfText, Path tokenizer, TrainingData data) {
    List<String> unsupported = config.unsupported();
    if (!unsupported.isEmpty()) {
      throw new InputException("the configuration asks for what JNeoX does not do: " + String.join("; ", unsupported));
    }
    this.config = config;
    this.model = config.model().shape(vocabulary, endOfText);
    TrainingNeed.of(config, model).check();
    this.tokenizer = tokenizer;
    this.data = data;
    this.maskedId = config.data().maskEndOfDocument() ? endOfText : -1;
    parameters = new Parameters(model, config.precision().format().dtype());
    gradients = new FusedStep(model, parameters, config.run().recompute() > 0);
    OptimizerSection o = config.optimizer();
    adam = new AdamW(parameters, o.beta1(), o.beta2(), o.eps(), o.weightDecay());
    schedule = o.learningRate(data.trainIters());
    start();
  }

  private void start() {
    Path found = config.checkpoint().load().map(Checkpoint::latest).orElse(null);
    state = new Checkpoint.State(0, 0, config.precision().lossScaler().start(), 0);
    if (found == null) {
      new Initializer(config.model().initStd(), config.model().outputInitStd()).fill(parameters, config.run().seed());
      return;
    }
    Checkpoint.loadWeights(found, model, parameters);
    if (!config.checkpoint().finetune()) {
      state = Checkpoint.loadTraining(found, parameters);
      adam.resume(state.updates());
      lastCheckpoint = found;
    }
  }

  /** The shape being trained. */
  public ModelConfig model() {
    return model;
  }

  /** Iterations done. */
  public int iteration() {
    return state.iteration();
  }

  /** Iterations of the whole run. */
  public int iterations() {
    return data.trainIters();
  }

  /** The fp32 weights by canonical name: views that are valid until {@link #close}. */
  public Map<String, Tensor> weights() {
    return parameters.weightViews();
  }

  /** Trains to the end of the run (or {@code exit_interval}), validates, tests and saves. */
  public void run(Listener listener) {
    int first = state.iteration();
    Path save = config.checkpoint().save().orElse(null);
    Path events = config.run().tensorboardDir().orElse(save == null ? null : save.resolve("tensorboard"));
    Path table = config.run().logDir().or(() -> config.checkpoint().save()).map(dir -> dir.resolve("metrics.csv")).orElse(null);
    try (EventFile board = events == null ? null : EventFile.create(events, first + 1);
        MetricsCsv csv = table == null ? null : MetricsCsv.open(table, COLUMNS, first)) {
      boolean saved = first > 0;
      boolean validated = false;
      while (state.iteration() < data.trainIters()) {
        Step step = step();
        listener.stepped(step);
        int n = step.iteration();
        validated = n % config.run().evalInterval() == 0 && data.valid() != null;
        double valid = validated ? evaluate(data.valid(), n) : Double.NaN;
        if (validated) {
          listener.evaluated("validation", n, valid);
        }
        record(board, csv, step, valid);
        stopIfBroken(step);
        saved = save != null && config.checkpoint().savesAt(n);
        if (saved) {
          listener.saved(save(save), n);
        }
        if (config.run().exitInterval().isPresent() && n % config.run().exitInterval().getAsInt() == 0) {
          break;
        }
      }
      finish(listener, save, saved, validated);
    }
  }

  private void finish(Listener listener, Path save, boolean saved, boolean validated) {
    int n = state.iteration();
    if (data.valid() != null && !validated) {
      listener.evaluated("validation", n, evaluate(data.valid(), n));
    }
    if (data.test() != null && n == data.trainIters()) {
      listener.evaluated("test", n, evaluate(data.test(), 0));
    }
    if (save != null && !saved) {
      listener.saved(save(save), n);
    }
  }

  private Path save(Path folder) {
    lastCheckpoint = Checkpoint.save(
        folder, state, model, parameters, tokenizer, config.settings().texts(), config.checkpoint().keepLast());
    return lastCheckpoint;
  }

  private void record(EventFile board, MetricsCsv csv, Step step, double valid) {
    if (board != null) {
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
      board.write(step.iteration(), values);
    }
    if (csv != null) {
      csv.write(step.iteration(), List.of(
          step.loss(), step.lr(), step.gradientNorm(), step.lossScale(), step.skipped() ? 1.0 : 0.0, (double) state.tokens(),
          step.tokensPerSecond(), step.teraflops(), valid));
    }
  }

  /** One iteration. */
  Step step() {
    long start = System.nanoTime();
    int accumulation = config.batch().accumulation();
    int micro = config.batch().micro();
    double scale = state.scaler().scale();
    double loss = 0;
    for (int m = 0; m < accumulation; m++) {
      long index = (long) state.iteration() * accumulation + m;
      GradientStep.Batch batch = TrainingData.batch(data.train(), index, micro, model.usedVocab(), maskedId);
      loss += gradients.gradient(batch, scale / accumulation) / accumulation;
    }
    double norm = adam.gradientNorm() / scale;
    boolean overflow = !Double.isFinite(norm);
    double lr = schedule.at(state.updates());
    if (overflow) {
      parameters.clearGradients();
    } else {
      double clip = config.optimizer().clip();
      double factor = clip > 0 && norm > clip ? clip / (norm + 1e-6) : 1;
      adam.step(lr, factor / scale);
    }
    long tokens = (long) accumulation * micro * config.model().seqLength();
    state = new Checkpoint.State(
        state.iteration() + 1, adam.steps(), scalerAfter(overflow), state.tokens() + tokens);
    return new Step(
        state.iteration(), loss, lr, norm, scale, overflow, tokens, (System.nanoTime() - start) / 1e9,
        model.trainingFlops(tokens, config.model().seqLength()));
  }

  private LossScaler.State scalerAfter(boolean overflow) {
    try {
      return config.precision().lossScaler().after(state.scaler(), overflow);
    } catch (InputException e) {
      throw new InputException(e.getMessage() + "; " + lastGood(), e);
    }
  }

  /** Stops a run that can no longer come to anything. */
  private void stopIfBroken(Step step) {
    boolean scaled = config.precision().format() == PrecisionSection.Format.FP16;
    if (step.skipped() && !scaled) {
      throw new InputException("iteration " + step.iteration() + ": the gradient norm is " + step.gradientNorm() + " and the loss "
          + step.loss() + ": the run diverged; lower the learning rate; " + lastGood());
    }
    if (state.scaler().skips() >= LossScaler.MOST_SKIPS) {
      throw new InputException("iteration " + step.iteration() + ": the last " + state.scaler().skips()
          + " iterations overflowed and were skipped, at loss scale " + step.lossScale() + " now; " + lastGood());
    }
  }

  private String lastGood() {
    return lastCheckpoint == null ? "no checkpoint was saved" : "the last good checkpoint is " + lastCheckpoint;
  }

  /** The mean loss over {@code eval_iters} batches: the ones GPT-NeoX reads in the validation after {@code iteration}. */
  double evaluate(Dataset dataset, int iteration) {
    int batches = config.run().evalIters() * config.batch().accumulation();
    long first = (long) iteration / config.run().evalInterval() * batches;
    double sum = 0;
    for (int b = 0; b < batches; b++) {
      sum += gradients.loss(TrainingData.batch(dataset, first + b, config.batch().micro(), model.usedVocab(), maskedId));
    }
    return sum / batches;
  }

  @Override
  public void close() {
    gradients.close();
    parameters.close();
  }
}
