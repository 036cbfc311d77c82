package dev.jneox.train;

import dev.jneox.data.BatchOrder;
import dev.jneox.data.Dataset;
import dev.jneox.io.InputException;
import dev.jneox.model.ModelConfig;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import org.bytedeco.pytorch.Tensor;

/**
 * The training loop: read a batch, compute the gradient, step, tell, and now and then validate and
 * save. The same configuration, data and machine give the same losses to the last bit, whether a
 * run goes through or is resumed.
 *
 * <pre>{@code
 * for each iteration
 *   for each micro-batch: loss, gradient          (GradientStep)
 *   clip, update                                  (AdamW, LearningRate, LossScaler)
 *   validate every eval_interval, save every checkpoint_factor
 * }</pre>
 */
public final class Trainer implements AutoCloseable {
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
   * @param flops floating-point operations of the model this iteration, by {@link
   *     ModelConfig#trainingFlops}
   */
  public record Step(
      int iteration,
      double loss,
      double lr,
      double gradientNorm,
      double lossScale,
      boolean skipped,
      long tokens,
      double seconds,
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

    /**
     * After each micro-batch but the last of a step, which may take minutes.
     *
     * @param iteration of the step, from 1
     * @param done micro-batches of it that are done
     * @param of how many it has
     * @param seconds since it began
     */
    default void accumulated(int iteration, int done, int of, double seconds) {}

    /** After a validation, or at the end the test; {@code loss} in nats a token. */
    default void evaluated(String name, int iteration, double loss) {}

    default void saved(Path checkpoint, int iteration) {}

    /** Something that the user should know and that does not stop the run, in one line. */
    default void noted(String line) {}
  }

  /** Why {@link #run} returned. */
  public enum End {
    /** The run is at its end, or at an {@code exit_interval}. */
    DONE,
    /** {@link #stop} was called. */
    STOPPED
  }

  private final NeoxConfig config;
  private final ModelConfig model;
  private final TokenizerFile tokenizer; // null for none
  private final TrainingData data;
  private final Parameters parameters;
  private final GradientStep gradients;
  private final AdamW adam;
  private final LearningRate schedule;
  private final int maskedId;
  private final RunDirectory directory;
  private volatile Checkpoint.State state;
  private volatile boolean stopping;
  private volatile Path lastCheckpoint;
  private volatile int savedAt = -1;

  /**
   * Prepares a run at step 0, or where the checkpoint that {@code directory} chose left it.
   *
   * @param vocabulary ids of the tokenizer
   * @param endOfText its end-of-document id, or -1
   * @param tokenizer copied into every checkpoint, or null
   * @param directory opened for the same configuration; the caller closes it after this
   */
  public Trainer(
      NeoxConfig config,
      int vocabulary,
      int endOfText,
      Path tokenizer,
      TrainingData data,
      RunDirectory directory) {
    check(config, vocabulary, endOfText);
    this.config = config;
    this.model = config.model().shape(vocabulary, endOfText);
    this.tokenizer = tokenizer == null ? null : TokenizerFile.read(tokenizer);
    this.data = data;
    this.directory = directory;
    this.maskedId = config.data().maskEndOfDocument() ? endOfText : -1;
    parameters = new Parameters(model, config.precision().format().dtype());
    gradients = new FusedStep(model, parameters, config.run().recompute() > 0);
    OptimizerSection o = config.optimizer();
    adam = new AdamW(parameters, o.beta1(), o.beta2(), o.eps(), o.weightDecay());
    schedule = o.learningRate(data.trainIters());
    start();
  }

  /**
   * Stops a run that JNeoX does not do, or that memory or the disk cannot hold. The constructor
   * does so, too; this is for calling it before the order of the data is made, which may take
   * minutes.
   *
   * @throws InputException naming what is not done, or what would fit
   */
  public static void check(NeoxConfig config, int vocabulary, int endOfText) {
    List<String> unsupported = config.unsupported();
    if (!unsupported.isEmpty()) {
      throw new InputException(
          "the configuration asks for what JNeoX does not do: " + String.join("; ", unsupported));
    }
    TrainingNeed.of(config, config.model().shape(vocabulary, endOfText)).check();
  }

  private void start() {
    Path found = directory.start().orElse(null);
    state = new Checkpoint.State(0, 0, config.precision().lossScaler().start(), 0);
    if (found == null) {
      new Initializer(config.model().initStd(), config.model().outputInitStd())
          .fill(parameters, config.run().seed());
      return;
    }
    Checkpoint.loadWeights(found, model, parameters);
    if (!config.checkpoint().finetune()) {
      state = Checkpoint.loadTraining(found, parameters);
      adam.resume(state.updates());
      lastCheckpoint = found;
      savedAt = state.iteration();
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

  /** What the user should know about this run on this machine, a line each; mostly nothing. */
  public List<String> concerns() {
    return TrainingNeed.of(config, model).concern(iteration(), iterations()).stream().toList();
  }

  /** The fp32 weights by canonical name: views that are valid until {@link #close}. */
  public Map<String, Tensor> weights() {
    return parameters.weightViews();
  }

  /**
   * The newest checkpoint of this run: the one it began from, then each one saved; empty while
   * there is none.
   */
  public Optional<Path> checkpoint() {
    return Optional.ofNullable(lastCheckpoint);
  }

  /**
   * Asks {@link #run} to save and return; any thread may call it.
   *
   * <p>The run looks between layers. The gradient of the unfinished step is dropped, so that what
   * is saved is the state after the last whole step, and a validation that was cut off is missing
   * in the run's tables.
   */
  public void stop() {
    stopping = true;
    gradients.stop();
  }

  /** Tells whether there is a step since the last checkpoint, which {@link #stop} would save. */
  public boolean hasUnsaved() {
    return config.checkpoint().save().isPresent() && state.iteration() > Math.max(0, savedAt);
  }

  /**
   * Trains to the end of the run (or {@code exit_interval}), validates, tests and saves.
   *
   * @throws InputException when the run cannot go on; the message names the newest checkpoint
   */
  public End run(Listener listener) {
    Path save = config.checkpoint().save().orElse(null);
    Path events =
        config.run().tensorboardDir().orElse(save == null ? null : save.resolve("tensorboard"));
    Path table =
        config
            .run()
            .logDir()
            .or(() -> config.checkpoint().save())
            .map(dir -> dir.resolve("metrics.csv"))
            .orElse(null);
    int first = state.iteration();
    try (RunLog<EventFile> board =
            new RunLog<>(
                listener, () -> events == null ? null : EventFile.create(events, first + 1));
        RunLog<MetricsCsv> csv =
            new RunLog<>(
                listener,
                () ->
                    table == null
                        ? null
                        : MetricsCsv.open(table, COLUMNS, first, listener::noted))) {
      return run(listener, board, csv);
    } catch (InputException e) {
      String last =
          lastCheckpoint == null
              ? "no checkpoint was saved"
              : "the last good checkpoint is " + lastCheckpoint;
      throw new InputException(e.getMessage() + "; " + last, e);
    }
  }

  private End run(Listener listener, RunLog<EventFile> board, RunLog<MetricsCsv> csv) {
    boolean saves = config.checkpoint().save().isPresent();
    int exit = config.run().exitInterval().orElse(Integer.MAX_VALUE);
    int validatedAt = -1;
    while (state.iteration() < data.trainIters() && !stopping) {
      Step step = step(listener).orElse(null);
      if (step == null) {
        break;
      }
      listener.stepped(step);
      int n = step.iteration();
      boolean last = n == data.trainIters() || n % exit == 0;
      OptionalDouble valid =
          last || n % config.run().evalInterval() == 0
              ? evaluate(listener, "validation", data.valid(), n)
              : OptionalDouble.empty();
      validatedAt = valid.isPresent() ? n : validatedAt;
      record(board, csv, step, valid.orElse(Double.NaN));
      stopIfBroken(step);
      if (saves && config.checkpoint().savesAt(n)) {
        save(listener);
      }
      if (last) {
        break;
      }
    }
    int n = state.iteration();
    if (validatedAt != n) {
      evaluate(listener, "validation", data.valid(), n);
    }
    if (n == data.trainIters()) {
      evaluate(listener, "test", data.test(), n);
    }
    if (saves && savedAt != n && !(stopping && n == 0)) {
      save(listener);
    }
    return stopping ? End.STOPPED : End.DONE;
  }

  private void save(Listener listener) {
    lastCheckpoint =
        directory.save(
            state.iteration(),
            Checkpoint.bytes(model),
            folder ->
                Checkpoint.write(
                    folder, state, model, parameters, tokenizer, config.settings().texts()),
            listener::noted);
    savedAt = state.iteration();
    listener.saved(lastCheckpoint, savedAt);
  }

  private void record(RunLog<EventFile> board, RunLog<MetricsCsv> csv, Step step, double valid) {
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
        table ->
            table.write(
                step.iteration(),
                List.of(
                    step.loss(),
                    step.lr(),
                    step.gradientNorm(),
                    step.lossScale(),
                    step.skipped() ? 1.0 : 0.0,
                    (double) state.tokens(),
                    step.tokensPerSecond(),
                    step.teraflops(),
                    valid)));
  }

  /** One iteration; empty when it was stopped, which leaves the state as it was. */
  private Optional<Step> step(Listener listener) {
    long start = System.nanoTime();
    int accumulation = config.batch().accumulation();
    int micro = config.batch().micro();
    BatchOrder order = data.order();
    double scale = state.scaler().scale();
    double loss = 0;
    try {
      for (int m = 0; m < accumulation; m++) {
        GradientStep.Batch batch =
            TrainingData.batch(
                order, order.batch(state.iteration(), m), model.usedVocab(), maskedId);
        loss += gradients.gradient(batch, scale / accumulation) / accumulation;
        if (m + 1 < accumulation) {
          listener.accumulated(
              state.iteration() + 1, m + 1, accumulation, (System.nanoTime() - start) / 1e9);
        }
      }
    } catch (GradientStep.Stopped e) {
      parameters.clearGradients();
      return Optional.empty();
    } catch (InputException | InternalError | OutOfMemoryError e) {
      throw broken(listener, e);
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
    state =
        new Checkpoint.State(
            state.iteration() + 1,
            adam.steps(),
            config.precision().lossScaler().after(state.scaler(), overflow),
            state.tokens() + tokens);
    return Optional.of(
        new Step(
            state.iteration(),
            loss,
            lr,
            norm,
            scale,
            overflow,
            tokens,
            (System.nanoTime() - start) / 1e9,
            model.trainingFlops(tokens, config.model().seqLength())));
  }

  /** Saves the last whole step after a failure in reading the data or computing with them. */
  private InputException broken(Listener listener, Throwable failure) {
    parameters.clearGradients();
    if (hasUnsaved()) {
      save(listener);
    }
    String reason =
        failure instanceof InternalError
            ? "a file of the data was cut short while it was read"
            : failure instanceof OutOfMemoryError
                ? "out of memory: " + failure.getMessage()
                : failure.getMessage();
    return new InputException("step " + (state.iteration() + 1) + ": " + reason, failure);
  }

  /** Stops a run that can no longer come to anything. */
  private void stopIfBroken(Step step) {
    boolean scaled = config.precision().format() == PrecisionSection.Format.FP16;
    if (step.skipped() && !scaled) {
      throw new InputException(
          "iteration "
              + step.iteration()
              + ": the gradient norm is "
              + step.gradientNorm()
              + " and the loss "
              + step.loss()
              + ": the run diverged; lower the learning rate");
    }
    if (state.scaler().skips() >= LossScaler.MOST_SKIPS) {
      throw new InputException(
          "iteration "
              + step.iteration()
              + ": the last "
              + state.scaler().skips()
              + " iterations overflowed and were skipped, at loss scale "
              + step.lossScale()
              + " now");
    }
  }

  /**
   * Computes the mean loss over {@code eval_iters} batches and tells it to the listener. The
   * batches are those that GPT-NeoX reads in the validation after {@code iteration}; its test reads
   * the first ones.
   *
   * @param dataset null for none
   * @return empty without a data set, or when the run was stopped
   */
  private OptionalDouble evaluate(Listener listener, String name, Dataset dataset, int iteration) {
    if (dataset == null) {
      return OptionalDouble.empty();
    }
    int batches = config.run().evalIters() * config.batch().accumulation();
    long first = name.equals("test") ? 0 : (long) iteration / config.run().evalInterval() * batches;
    BatchOrder order = data.order(dataset);
    double sum = 0;
    try {
      for (int b = 0; b < batches; b++) {
        sum += gradients.loss(TrainingData.batch(order, first + b, model.usedVocab(), maskedId));
      }
    } catch (GradientStep.Stopped e) {
      return OptionalDouble.empty();
    } catch (InputException | InternalError | OutOfMemoryError e) {
      throw broken(listener, e);
    }
    listener.evaluated(name, iteration, sum / batches);
    return OptionalDouble.of(sum / batches);
  }

  @Override
  public void close() {
    gradients.close();
    parameters.close();
  }
}
