package dev.jneox.train;

import dev.jneox.data.BatchOrder;
import dev.jneox.data.Dataset;
import dev.jneox.io.InputException;
import dev.jneox.io.JneoxException;
import dev.jneox.io.MappedFile;
import dev.jneox.io.MemoryException;
import dev.jneox.io.StorageException;
import dev.jneox.model.ModelSpec;
import dev.jneox.torch.Device;
import dev.jneox.weights.Dtype;
import dev.jneox.weights.ModelWeights;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.function.Consumer;

/**
 * Runs the training loop: read a batch, compute the gradient, step. All else that a run does,
 * validation and saving among it, are {@link TrainingCallback}s. The same configuration, data and
 * machine give the same losses to the last bit, whether a run goes through or is resumed.
 *
 * <pre>{@code
 * for each iteration
 *   for each micro-batch: loss, gradient          (GradientStep)
 *   clip, update                                  (AdamW, LearningRate, LossScaler)
 *   each callback: afterStep                      (the caller's, Evaluation, Metrics, DivergenceCheck, Saving)
 * }</pre>
 */
public final class Trainer implements AutoCloseable {
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
   *     ModelSpec#trainingFlops}
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

  /** Why {@link #run} returned. */
  public enum End {
    /** The run is at its end, or at an {@code exit_interval}. */
    DONE,
    /** {@link #stop} was called. */
    STOPPED
  }

  private final NeoxConfig config;
  private final ModelSpec model;
  private final TrainingData data;
  private final Parameters parameters;
  private final GradientStep gradients;
  private final AdamW adam;
  private final LearningRate schedule;
  private final int maskedId;
  private final Saving saving;
  private final TokenizerFile tokenizer; // null for none
  private final List<String> notes = new ArrayList<>();
  private final DataOrder order;
  private int startedAt;
  private long firstBatch;
  private volatile Checkpoint.State state;
  private volatile boolean stopping;
  private List<TrainingCallback> callbacks = List.of();

  /**
   * Prepares a run on the CPU, at step 0 or where the checkpoint that {@code directory} chose left
   * it.
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
    this(config, vocabulary, endOfText, tokenizer, data, directory, Device.CPU);
  }

  /** The same on any device; only the CPU repeats losses to the last bit. */
  public Trainer(
      NeoxConfig config,
      int vocabulary,
      int endOfText,
      Path tokenizer,
      TrainingData data,
      RunDirectory directory,
      Device device) {
    check(config, vocabulary, endOfText, device);
    ModelSpec model = config.model().shape(vocabulary, endOfText);
    Dtype compute = config.precision().format().dtype();
    this(config, endOfText, tokenizer, data, directory, new Parameters(model, compute, device));
  }

  /** The same over {@code parameters}, which this closes. */
  Trainer(
      NeoxConfig config,
      int endOfText,
      Path tokenizer,
      TrainingData data,
      RunDirectory directory,
      Parameters parameters) {
    this.config = config;
    this.model = parameters.spec();
    this.parameters = parameters;
    this.data = data;
    this.tokenizer =
        tokenizer == null ? null : TokenizerFile.read(tokenizer, config.data().mergeFile());
    this.saving = new Saving(config, directory, this.tokenizer);
    this.order = DataOrder.of(config);
    this.maskedId = config.data().maskEndOfDocument() ? endOfText : -1;
    gradients = GradientStep.of(parameters, config.run().recompute() > 0);
    OptimizerSection o = config.optimizer();
    adam = new AdamW(parameters, o.beta1(), o.beta2(), o.eps(), o.weightDecay());
    schedule = o.learningRate(data.trainIters());
    start(directory.start().orElse(null));
  }

  /**
   * Stops a run that JNeoX does not do, or that memory or the disk cannot hold. The constructor
   * does so, too; this is for calling it before the order of the data is made, which may take
   * minutes.
   *
   * @throws InputException naming what is not done
   * @throws MemoryException naming what would fit
   * @throws StorageException when the disk is too small
   */
  public static void check(NeoxConfig config, int vocabulary, int endOfText, Device device) {
    List<String> unsupported = config.unsupported();
    if (!unsupported.isEmpty()) {
      throw new InputException(
          "the configuration asks for what JNeoX does not do: " + String.join("; ", unsupported));
    }
    ModelSpec model = config.model().shape(vocabulary, endOfText);
    if (config.checkpoint().save().isPresent()) {
      Checkpoint.check(config.settings(), model);
    }
    TrainingNeed.of(config, model).check(device);
  }

  /** Fills the weights anew, or from the checkpoint {@code found}. */
  private void start(Path found) {
    state = new Checkpoint.State(0, 0, config.precision().lossScaler().start(), 0, order);
    if (found == null) {
      new Initializer(config.model().initStd(), config.model().outputInitStd())
          .fill(parameters, config.run().seed());
      return;
    }
    if (config.checkpoint().finetune()) {
      notes.addAll(Pretrained.load(found, parameters, tokenizer, config.run().seed()));
      return;
    }
    Checkpoint.loadWeights(found, parameters);
    state = Checkpoint.loadTraining(found, parameters);
    adam.resume(state.updates());
    saving.resumed(found, state.iteration());
    findPlace();
  }

  /** Goes to the sample behind those that were read, which is a matter of tokens, not of steps. */
  private void findPlace() {
    int micro = config.batch().micro();
    long samples = state.tokens() / config.model().seqLength();
    startedAt = state.iteration();
    firstBatch = samples / micro;
    if (state.order() != null) {
      notes.addAll(state.order().changes(order, samples));
    }
    if (samples % micro != 0) {
      notes.add(
          "the last %,d samples that were read are read again: a micro-batch of %,d begins at a multiple of it"
              .formatted(samples % micro, micro));
    }
  }

  /** The shape being trained. */
  public ModelSpec model() {
    return model;
  }

  /** What computes. */
  public Device device() {
    return parameters.device();
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
    List<String> lines = new ArrayList<>(notes);
    TrainingNeed.of(config, model).concern(iteration(), iterations()).ifPresent(lines::add);
    return lines;
  }

  /** What the run takes of memory and disk, and what is free, a line each. */
  public List<String> estimate() {
    return TrainingNeed.of(config, model).estimate(device(), iteration(), iterations());
  }

  /** The fp32 weights by parameter, as they are now: valid until {@link #close}. */
  public ModelWeights weights() {
    return parameters.weights();
  }

  /** Writes the model as it is now, with its tokenizer, as an HF folder in fp32. */
  public void writeModel(Path folder) {
    saving.writeModel(folder, parameters);
  }

  /**
   * The newest checkpoint of this run: the one it began from, then each one saved; empty while
   * there is none.
   */
  public Optional<Path> checkpoint() {
    return saving.newest();
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
    return saving.isDue(state.iteration());
  }

  /**
   * Trains to the end of the run (or {@code exit_interval}), validates, tests and saves.
   *
   * @param others called before the run's own callbacks
   * @throws JneoxException when the run cannot go on; the message names the newest checkpoint
   */
  public End run(TrainingCallback... others) {
    List<TrainingCallback> all = new ArrayList<>(List.of(others));
    all.add(new Evaluation(config, data));
    all.add(new Metrics(config));
    all.add(new DivergenceCheck(config.precision().format() == PrecisionSection.Format.FP16));
    all.add(saving);
    callbacks = List.copyOf(all);
    try {
      tell(callback -> callback.atStart(this));
      while (!isDone() && !stopping) {
        Step step = step().orElse(null);
        if (step == null) {
          break;
        }
        tell(callback -> callback.afterStep(this, step));
        if (endsHere()) {
          break;
        }
      }
      tell(callback -> callback.atEnd(this));
      return stopping ? End.STOPPED : End.DONE;
    } catch (JneoxException e) {
      String last =
          checkpoint()
              .map(path -> "the last good checkpoint is " + path)
              .orElse("no checkpoint was saved");
      throw e.withMessage(e.getMessage() + "; " + last);
    } finally {
      tell(TrainingCallback::close);
    }
  }

  /** Calls every callback of the run. */
  void tell(Consumer<TrainingCallback> event) {
    callbacks.forEach(event);
  }

  /** Tells all of something that does not stop the run. */
  void note(String line) {
    tell(callback -> callback.noted(line));
  }

  private boolean isDone() {
    return state.iteration() >= data.trainIters();
  }

  /** Whether no step follows in this run: it is at its end, or at an {@code exit_interval}. */
  boolean endsHere() {
    int exit = config.run().exitInterval().orElse(Integer.MAX_VALUE);
    return isDone() || state.iteration() % exit == 0;
  }

  /** Whether {@link #stop} was called. */
  boolean isStopping() {
    return stopping;
  }

  Checkpoint.State state() {
    return state;
  }

  Parameters parameters() {
    return parameters;
  }

  /** One iteration; empty when it was stopped, which leaves the state as it was. */
  private Optional<Step> step() {
    long start = System.nanoTime();
    int accumulation = config.batch().accumulation();
    int micro = config.batch().micro();
    BatchOrder reading = data.order();
    long first = firstBatch + (long) (state.iteration() - startedAt) * accumulation;
    double scale = state.scaler().scale();
    double loss = 0;
    try {
      for (int m = 0; m < accumulation; m++) {
        GradientStep.Batch batch =
            TrainingData.batch(reading, first + m, model.vocabulary().used(), maskedId);
        loss += gradients.gradient(batch, scale / accumulation) / accumulation;
        if (m + 1 < accumulation) {
          int done = m + 1;
          double seconds = (System.nanoTime() - start) / 1e9;
          tell(
              callback ->
                  callback.afterMicroBatch(state.iteration() + 1, done, accumulation, seconds));
        }
      }
    } catch (GradientStep.Stopped e) {
      parameters.clearGradients();
      return Optional.empty();
    } catch (JneoxException | InternalError | OutOfMemoryError e) {
      throw broken(e);
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
            state.tokens() + tokens,
            order);
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

  /** Tells of a failure in reading the data or computing with them, and makes the error of it. */
  private JneoxException broken(Throwable failure) {
    parameters.clearGradients();
    tell(callback -> callback.afterFailure(this));
    String step = "step " + (state.iteration() + 1) + ": ";
    return switch (failure) {
      case JneoxException e -> e.withMessage(step + e.getMessage());
      case OutOfMemoryError e -> new MemoryException(step + "out of memory: " + e.getMessage(), e);
      default -> {
        String what = "a file of the data was cut short";
        String when = "while it was read";
        yield MappedFile.changed()
            .map(e -> e.withMessage(step + e.getMessage()))
            .orElseGet(
                () -> new StorageException(step + what + " " + when, null, what, when, failure));
      }
    };
  }

  /**
   * The mean loss over batches of a data set.
   *
   * @param first the first batch
   * @return empty when the run was stopped
   */
  OptionalDouble meanLoss(Dataset dataset, long first, int batches) {
    BatchOrder reading = data.order(dataset);
    double sum = 0;
    try {
      for (int b = 0; b < batches; b++) {
        sum +=
            gradients.loss(
                TrainingData.batch(reading, first + b, model.vocabulary().used(), maskedId));
      }
    } catch (GradientStep.Stopped e) {
      return OptionalDouble.empty();
    } catch (JneoxException | InternalError | OutOfMemoryError e) {
      throw broken(e);
    }
    return OptionalDouble.of(sum / batches);
  }

  @Override
  public void close() {
    gradients.close();
    parameters.close();
  }
}
