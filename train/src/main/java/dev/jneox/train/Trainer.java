package dev.jneox.train;

import dev.jneox.data.BatchOrder;
import dev.jneox.data.Dataset;
import dev.jneox.data.Span;
import dev.jneox.dist.Mesh;
import dev.jneox.dist.Ranks;
import dev.jneox.dist.Shard;
import dev.jneox.io.InputException;
import dev.jneox.io.JneoxException;
import dev.jneox.io.MachineException;
import dev.jneox.io.MappedFile;
import dev.jneox.io.MemoryException;
import dev.jneox.io.StorageException;
import dev.jneox.model.ModelSpec;
import dev.jneox.torch.Device;
import dev.jneox.torch.Products;
import dev.jneox.weights.Dtype;
import dev.jneox.weights.ModelWeights;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.SequencedMap;
import java.util.Set;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * Runs the training loop: reads a batch, computes the gradient, updates the weights. Validation,
 * saving and all else that a run does are {@link TrainingCallback}s. On the CPU the same
 * configuration, data and machine give the same losses to the last bit, also when a run is
 * interrupted and resumed.
 *
 * <pre>{@code
 * for each iteration
 *   for each micro-batch: loss, gradient          (GradientStep)
 *   clip, update                                  (AdamW, LearningRate, LossScaler)
 *   each callback: afterStep                      (the caller's, Evaluation, Metrics, DivergenceCheck, Saving)
 * }</pre>
 */
public final class Trainer implements AutoCloseable {
  /** How many documents a message lists. */
  private static final int LISTED = 10;

  /**
   * Describes one iteration.
   *
   * @param iteration from 1
   * @param loss mean over the batch, in nats per token
   * @param lr learning rate of this step
   * @param gradientNorm L2 norm before clipping, divided by the loss scale
   * @param lossScale that the loss was multiplied by
   * @param skipped whether gradients overflowed or leapt ({@code skip_step_sigma_factor}) and
   *     nothing was updated
   * @param tokens of this iteration
   * @param seconds that this iteration took
   * @param flops floating-point operations of the model in this iteration, by {@link
   *     ModelSpec#trainingFlops}
   * @param waited seconds of the iteration in which this process waited for others
   * @param sent bytes that this process sent to others, by the formulas of Gloo's algorithms
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
      double flops,
      double waited,
      double sent) {
    /** Returns the training tokens per second. */
    public double tokensPerSecond() {
      return tokens / seconds;
    }

    /** Returns the model's floating-point operations in TFLOP/s. */
    public double teraflops() {
      return flops / seconds / 1e12;
    }
  }

  /** Tells why {@link #run} returned. */
  public enum End {
    /** The run is at its end, or at an {@code exit_interval}. */
    DONE,
    /** {@link #stop} was called. */
    STOPPED
  }

  private final DataParallel processes;
  private final NeoxConfig config;
  private final ModelSpec model;
  private final TrainingData data;
  private final Parameters parameters;
  private final GradientStep gradients;
  private final AdamW adam;
  private final LearningRate schedule;
  private final int maskedId;
  private final Saving saving;
  private final @Nullable TokenizerFile tokenizer;
  private final List<String> notes = new ArrayList<>();
  private final DataOrder order;
  private final Goodput goodput;
  private int startedAt;
  private long firstBatch;
  private volatile Checkpoint.State state;
  private volatile boolean asked; // to stop, on this rank
  private volatile boolean stopping;
  private final Object stopLock = new Object();
  private int stopsAfter; // a stop that is asked for now; with stopLock
  private List<TrainingCallback> callbacks = List.of();
  private String replayed = "";
  private double[] partNorms = new double[0];

  /**
   * Prepares a run on the CPU: from step 0, or from the checkpoint that {@code directory} chose.
   *
   * @param vocabulary number of ids of the tokenizer
   * @param endOfText its end-of-document id, or -1
   * @param tokenizer file that is copied into every checkpoint; null for none
   * @param data opened for the same configuration
   * @param directory opened for the same configuration; the caller closes it after the trainer
   * @throws InputException when the configuration asks for what is not done, or the checkpoint or
   *     the tokenizer does not fit
   * @throws MemoryException when memory is too small
   * @throws StorageException when the disk is too small, or a file cannot be read
   */
  public Trainer(
      NeoxConfig config,
      int vocabulary,
      int endOfText,
      @Nullable Path tokenizer,
      TrainingData data,
      RunDirectory directory) {
    this(config, vocabulary, endOfText, tokenizer, data, directory, Device.CPU);
  }

  /**
   * Prepares a run on a device. Only on the CPU do equal runs have equal losses to the last bit.
   *
   * @see #Trainer(NeoxConfig, int, int, Path, TrainingData, RunDirectory)
   */
  public Trainer(
      NeoxConfig config,
      int vocabulary,
      int endOfText,
      @Nullable Path tokenizer,
      TrainingData data,
      RunDirectory directory,
      Device device) {
    this(config, vocabulary, endOfText, tokenizer, data, directory, device, Ranks.ALONE);
  }

  /**
   * Prepares the part of a run that one of several processes does. Each of them makes a trainer and
   * calls the same methods.
   *
   * @param ranks placed as {@link ParallelSection#mesh} says; the caller closes them
   * @throws InputException also when the ranks differ in version, configuration, data or checkpoint
   * @throws dev.jneox.io.PeerException when another process is gone
   * @see #Trainer(NeoxConfig, int, int, Path, TrainingData, RunDirectory)
   */
  public Trainer(
      NeoxConfig config,
      int vocabulary,
      int endOfText,
      @Nullable Path tokenizer,
      TrainingData data,
      RunDirectory directory,
      Device device,
      Ranks ranks) {
    if (ranks.size() == 1) { // several share the memory: they check before any takes some
      check(config, vocabulary, endOfText, device);
    }
    ModelSpec model = config.model().shape(vocabulary, endOfText);
    Dtype compute = config.precision().format().dtype();
    Parameters parameters =
        new Parameters(
            shard(config, model, ranks),
            compute,
            device,
            new Parameters.Copy(
                ranks.data().rank(),
                ranks.data().size(),
                ranks.data().size() > 1 && config.optimizer().zeroStage() == 1));
    this(config, endOfText, tokenizer, data, directory, parameters, ranks);
  }

  /** Returns the part of the model that a rank has. */
  static Shard shard(NeoxConfig config, ModelSpec model, Ranks ranks) {
    Mesh.Place place = ranks.place();
    return config.layout(model).shard(place.tensor(), place.pipeline());
  }

  /** Prepares a run over {@code parameters}, which {@link #close} closes. */
  Trainer(
      NeoxConfig config,
      int endOfText,
      @Nullable Path tokenizer,
      TrainingData data,
      RunDirectory directory,
      Parameters parameters) {
    this(config, endOfText, tokenizer, data, directory, parameters, Ranks.ALONE);
  }

  /** Prepares the part of one of several processes over {@code parameters}. */
  Trainer(
      NeoxConfig config,
      int endOfText,
      @Nullable Path tokenizer,
      TrainingData data,
      RunDirectory directory,
      Parameters parameters,
      Ranks ranks) {
    if (!config.parallel().mesh().equals(ranks.mesh())) {
      throw new IllegalArgumentException(
          "a configuration for " + config.parallel() + ", and ranks placed as " + ranks.mesh());
    }
    this.processes = new DataParallel(ranks, parameters);
    this.config = config;
    this.model = parameters.spec();
    this.parameters = parameters;
    this.data = data;
    this.tokenizer =
        tokenizer == null ? null : TokenizerFile.read(tokenizer, config.data().mergeFile());
    this.saving = new Saving(config, directory, this.tokenizer);
    this.order = DataOrder.of(config);
    this.goodput = new Goodput(ranks.supervision());
    this.maskedId = config.data().maskEndOfDocument() ? endOfText : -1;
    gradients =
        GradientStep.of(
            parameters,
            config.run().recompute() > 0,
            processes.traffic().counted(ranks.tensor()),
            processes.traffic().counted(ranks.pipeline()));
    if (gradients instanceof PipelineStep pipeline) {
      pipeline.trace(processes.traffic().trace());
    }
    OptimizerSection o = config.optimizer();
    adam = new AdamW(parameters, o.beta1(), o.beta2(), o.eps(), o.weightDecay());
    schedule = o.learningRate(data.trainIters());
    state = start(directory);
    stopsAfter = next(state.iteration());
    if (!processes.isAlone()) {
      SequencedMap<String, String> same = new LinkedHashMap<>();
      same.put("data", data.fingerprint());
      same.put(
          "checkpoint",
          "its step: %d%nits updates: %d%nits tokens: %d"
              .formatted(state.iteration(), state.updates(), state.tokens()));
      ranks.requireSame(same);
    }
  }

  /**
   * Refuses a run that JNeoX cannot do, or that memory or the disk cannot hold. The constructor
   * checks the same. A program may call this first, before {@link TrainingData#open}, which may
   * take minutes.
   *
   * @param vocabulary number of ids of the tokenizer
   * @param endOfText its end-of-document id, or -1
   * @throws InputException naming what is not done
   * @throws MemoryException when memory is too small, naming the largest micro-batch that fits
   * @throws StorageException when the disk is too small
   */
  public static void check(NeoxConfig config, int vocabulary, int endOfText, Device device) {
    check(config, vocabulary, endOfText, device, 1);
  }

  /**
   * Refuses the same for {@code processes} of this machine that share its memory, before any of
   * them takes some.
   *
   * @see #check(NeoxConfig, int, int, Device)
   */
  public static void check(
      NeoxConfig config, int vocabulary, int endOfText, Device device, int processes) {
    List<String> unsupported = config.unsupported();
    if (!unsupported.isEmpty()) {
      throw new InputException(
          "the configuration asks for what JNeoX does not do: " + String.join("; ", unsupported));
    }
    ModelSpec model = config.model().shape(vocabulary, endOfText);
    if (config.checkpoint().save().isPresent()) {
      Checkpoint.check(config.settings(), model);
    }
    TrainingNeed.of(config, model).check(device, processes);
  }

  /**
   * Requires that all processes run the same version with the same configuration.
   *
   * @throws InputException on every rank, naming those that differ from rank 0
   */
  public static void requireSame(NeoxConfig config, Ranks ranks) {
    SequencedMap<String, String> same = new LinkedHashMap<>();
    same.put("version", version(config));
    same.put("configuration", config.settings().fingerprint());
    ranks.requireSame(same);
  }

  /** Returns what, besides the configuration, decides about the numbers that a step computes. */
  private static String version(NeoxConfig config) {
    return "the version: %s%nJava: %d%nthe type of products: %s"
        .formatted(
            Trainer.class.getPackage().getImplementationVersion(),
            Runtime.version().feature(),
            Products.carrier(config.precision().format().dtype()));
  }

  /** Fills the weights anew, or from the checkpoint that was chosen; returns the state to go on. */
  private Checkpoint.State start(RunDirectory directory) {
    Optional<Path> found = directory.start();
    found.ifPresent(
        path -> saving.generation(GenerationSettings.of(path, model.vocabulary().used())));
    if (directory.resumes()) {
      return resume(found.orElseThrow());
    }
    if (found.isPresent()) {
      notes.addAll(Pretrained.load(found.get(), parameters, tokenizer, config.run().seed()));
    } else {
      new Initializer(config.model().initStd(), config.model().outputInitStd())
          .fill(parameters, config.run().seed());
    }
    return new Checkpoint.State(0, 0, config.precision().lossScaler().start(), 0, order, null);
  }

  private Checkpoint.State resume(Path checkpoint) {
    Checkpoint.loadWeights(checkpoint, parameters);
    Checkpoint.State found = Checkpoint.loadTraining(checkpoint, parameters);
    adam.resume(found.updates());
    saving.resumed(checkpoint, found.iteration());
    findPlace(found);
    return found;
  }

  /**
   * Finds the first sample that was not read yet: by the tokens read, because the batch size and
   * the sequence length may have changed since.
   */
  private void findPlace(Checkpoint.State found) {
    int micro = config.batch().micro();
    long samples = found.tokens() / config.model().seqLength();
    startedAt = found.iteration();
    firstBatch = samples / micro;
    DataOrder before = found.order();
    if (before != null) {
      notes.addAll(before.changes(order, samples));
    }
    if (samples % micro != 0) {
      notes.add(
          "the last %,d samples that were read are read again: a micro-batch of %,d begins at a multiple of it"
              .formatted(samples % micro, micro));
    }
  }

  /** Returns the description of the model that is trained. */
  public ModelSpec model() {
    return model;
  }

  /** Returns the device that computes. */
  public Device device() {
    return parameters.device();
  }

  /** Returns the number of iterations done, those before a resume included. */
  public int iteration() {
    return state.iteration();
  }

  /** Returns the number of iterations of the whole run. */
  public int iterations() {
    return data.trainIters();
  }

  /**
   * Returns warnings for the user, a line each; usually none. They say what a changed configuration
   * means for a resumed run, what of a loaded model does not fit, that the split has a document on
   * both sides, and that the disk is too small for all checkpoints.
   */
  public List<String> warnings() {
    List<String> lines = new ArrayList<>(notes);
    data.warning().ifPresent(lines::add);
    TrainingNeed.of(config, model).warning(iteration(), iterations()).ifPresent(lines::add);
    return lines;
  }

  /** Returns lines that state the memory and disk space that the run needs, and what is free. */
  public List<String> estimate() {
    return TrainingNeed.of(config, model)
        .estimate(device(), ranks().localSize(), iteration(), iterations());
  }

  /**
   * Returns the fp32 weights by parameter. They change with every step and end with {@link #close}.
   * A rank that has a part of the model has the weights of that part.
   *
   * @see #readWeights
   */
  public ModelWeights weights() {
    return parameters.weights();
  }

  /**
   * Has {@code reader} read the fp32 weights of the whole model on the first rank. All ranks call
   * it between two steps: the others give what they have, and return when it has returned.
   *
   * @param reader called on the first rank alone; what it gets ends with its return
   */
  public void readWeights(Consumer<ModelWeights> reader) {
    try {
      WholeWeights.read(ranks(), parameters, parameters.weights(), reader);
    } finally {
      ranks().barrier(); // no process ends while another one reads
    }
  }

  /**
   * Writes the present weights, with the tokenizer, as an HF folder in fp32. All ranks call it, and
   * the first one writes.
   *
   * @throws StorageException when the folder cannot be written
   */
  public void writeModel(Path folder) {
    readWeights(weights -> saving.writeModel(folder, model, weights));
  }

  /**
   * Returns the newest checkpoint of this run: the last one saved, else the one that it was resumed
   * from.
   */
  public Optional<Path> checkpoint() {
    return saving.newest();
  }

  /**
   * Asks {@link #run} to save and return; any thread may call it.
   *
   * <p>The run stops after the layer that it is computing. The gradient of an unfinished step is
   * dropped, and the checkpoint holds the state after the last whole step. An unfinished validation
   * is not reported. Several processes stop together after the step that they compute, when one of
   * them was asked.
   *
   * @return the step after which the run stops
   */
  public int stop() {
    synchronized (stopLock) {
      asked = true;
      if (processes.isAlone()) {
        stopping = true;
        gradients.stop();
      }
      return stopsAfter;
    }
  }

  /**
   * Returns whether this process was asked to stop.
   *
   * @param next step after which the run stops when it is asked from now on
   */
  private boolean isAsked(int next) {
    synchronized (stopLock) {
      stopsAfter = next;
      return asked;
    }
  }

  /** Returns the step after which a stop takes effect that comes after a step. */
  private int next(int iteration) {
    return processes.isAlone() || endsAt(iteration) ? iteration : iteration + 1;
  }

  /** Returns whether a stop after a step would save it. */
  public boolean saves(int iteration) {
    return saving.isDue(iteration);
  }

  /**
   * Trains to the end of the run or to an {@code exit_interval}; validates, tests and saves.
   *
   * @param others called before the run's own callbacks
   * @throws JneoxException when the run cannot go on; the message names the newest checkpoint
   */
  public End run(TrainingCallback... others) {
    List<TrainingCallback> all = new ArrayList<>(List.of(others));
    RunSection section = config.run();
    if (section.profile()) {
      Path folder = section.logDir().or(() -> config.checkpoint().save()).orElseThrow();
      all.add(new Profile(section.profileStepStart(), section.profileStepStop(), folder));
    }
    all.add(new Evaluation(config, data));
    if (ranks().isFirst()) {
      all.add(new Metrics(config));
    }
    all.add(new DivergenceCheck(config.precision().format() == PrecisionSection.Format.FP16));
    all.add(saving);
    callbacks = List.copyOf(all);
    try {
      goodput.begin(state.iteration());
      ranks().supervision().begin();
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
      ranks().barrier(); // no process ends while another one saves
      return stopping ? End.STOPPED : End.DONE;
    } catch (JneoxException e) {
      saving.finishQuietly(this);
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

  /** Gives every callback a warning that does not stop the run. */
  void note(String line) {
    tell(callback -> callback.noted(line));
  }

  /**
   * Gives every callback what one of them measured, which then is among the metrics of the run.
   *
   * @param values by the names that TensorBoard has for them
   */
  public void report(Map<String, Double> values) {
    tell(callback -> callback.afterMeasurement(state.iteration(), values));
  }

  private boolean isDone() {
    return state.iteration() >= data.trainIters();
  }

  /** Returns whether this was the last step: of the run, or before an {@code exit_interval}. */
  boolean endsHere() {
    return endsAt(state.iteration());
  }

  private boolean endsAt(int iteration) {
    int exit = config.run().exitInterval().orElse(Integer.MAX_VALUE);
    return iteration >= data.trainIters() || iteration % exit == 0;
  }

  /** Whether {@link #stop} was called. */
  boolean isStopping() {
    return stopping;
  }

  /** Returns whether a launcher started the run, which starts it again when a rank fails. */
  public boolean isLaunched() {
    return ranks().supervision().folder().isPresent();
  }

  /** Returns how much of the time of the run went into steps that count. */
  public Goodput goodput() {
    return goodput;
  }

  /** Notes that a checkpoint is on disk. */
  void wasSaved(int iteration) {
    ranks().supervision().saved(iteration);
    if (ranks().isFirst()) {
      try {
        goodput.saved(iteration);
      } catch (JneoxException e) {
        note(e.getMessage() + "; the goodput of a restart will be too low");
      }
    }
  }

  /** The processes of the run. */
  Ranks ranks() {
    return processes.ranks();
  }

  /** The copies of the model. */
  DataParallel processes() {
    return processes;
  }

  Checkpoint.State state() {
    return state;
  }

  Parameters parameters() {
    return parameters;
  }

  /**
   * What the ranks found in a step before its update.
   *
   * @param all of each rank: losses, squares of its gradients in all, those of each part, whether
   *     it was asked to stop, the step of the newest checkpoint
   * @param losses of a rank
   * @param loss mean over the batch
   * @param norm of the gradient, divided by the loss scale
   * @param partNorms of each part of the model; empty where they are not asked for
   */
  private record Found(double[][] all, int losses, double loss, double norm, double[] partNorms) {
    boolean isFinite() {
      return Double.isFinite(loss) && Double.isFinite(norm);
    }
  }

  /** Computes loss and gradient of a step on all ranks. */
  private Found find(double scale, long start) {
    int copies = processes.size();
    double[] mine = gradient(scale, start);
    int losses = mine.length;
    processes.awaitSums();
    double[] parts = config.run().logGradNorm() ? adam.partSquares() : new double[0];
    int at = losses;
    mine = Arrays.copyOf(mine, losses + 1 + parts.length + 2);
    mine[at++] = adam.gradientSquares();
    System.arraycopy(parts, 0, mine, at, parts.length);
    at += parts.length;
    // Alone, a stop from here on waits for the update.
    boolean stops = isAsked(next(state.iteration() + 1));
    if (stops && processes.isAlone()) {
      throw new GradientStep.Stopped();
    }
    mine[at++] = stops ? 1 : 0;
    mine[at] = saving.savedAt();
    double[][] all = processes.exchangeAll(mine);
    saving.saved(this, (int) all[0][at]);
    Mesh mesh = ranks().mesh();
    double loss = 0;
    for (int b = 0; b < losses * copies; b++) { // in the order of one process that does them all
      int rank = mesh.rank(new Mesh.Place(0, b % copies, 0)); // others of its copy have the same
      loss += all[rank][b / copies] / (losses * copies);
    }
    double[] squares = new double[1 + parts.length];
    for (int r = 0; r < all.length; r++) {
      stopping |= !processes.isAlone() && all[r][at - 1] > 0;
      // Without shares every copy has the sum of all; that of the first one counts.
      boolean counts = parameters.copy().sharded() || mesh.place(r).data() == 0;
      for (int s = 0; counts && s < squares.length; s++) {
        squares[s] += all[r][losses + s];
      }
    }
    double[] norms = Arrays.stream(squares).map(sum -> Math.sqrt(sum) / scale).toArray();
    return new Found(all, losses, loss, norms[0], Arrays.copyOfRange(norms, 1, norms.length));
  }

  /**
   * Compares a step that is not finite with the same step computed again.
   *
   * @throws MachineException when they differ
   */
  private void compare(Found first, Found again) {
    List<Integer> lossDiffers = new ArrayList<>();
    List<Integer> differs = new ArrayList<>();
    for (int r = 0; r < first.all.length; r++) {
      if (!same(first.all[r], again.all[r], first.losses)) {
        lossDiffers.add(r);
      }
      if (!same(first.all[r], again.all[r], first.losses + 1)) {
        differs.add(r);
      }
    }
    int iteration = state.iteration() + 1;
    if (differs.isEmpty()) {
      replayed = ", and when computed again the same" + suspects(first);
      return;
    }
    // A wrong gradient is summed with those of the others; a wrong loss is the rank's own.
    List<Integer> named = lossDiffers.isEmpty() ? differs : lossDiffers;
    throw new MachineException(
        ("step %d: computed twice from the same weights and batch, the loss was %s, then %s, the"
                + " gradient norm %s, then %s: the machine of %s %s is faulty; test its memory, or"
                + " leave it out")
            .formatted(
                iteration,
                first.loss,
                again.loss,
                first.norm,
                again.norm,
                named.size() == 1 ? "rank" : "one of the ranks",
                named.stream().map(String::valueOf).collect(Collectors.joining(", "))));
  }

  private boolean same(double[] a, double[] b, int length) {
    for (int i = 0; i < length; i++) {
      // Only the CPU repeats a step to the last bit.
      boolean equal =
          device().isCpu()
              ? Double.compare(a[i], b[i]) == 0
              : Double.isFinite(a[i]) == Double.isFinite(b[i]);
      if (!equal) {
        return false;
      }
    }
    return true;
  }

  /** Names the documents of a step: of its micro-batches without a finite loss, else of all. */
  private String suspects(Found found) {
    int copies = processes.size();
    int batches = config.batch().accumulation() * copies;
    long first = firstBatch + (long) (state.iteration() - startedAt) * batches;
    BatchOrder reading = data.order();
    boolean all = Double.isFinite(found.loss);
    Set<String> documents = new LinkedHashSet<>();
    for (int m = 0; m < batches; m++) {
      int rank = ranks().mesh().rank(new Mesh.Place(0, m % copies, 0));
      double loss = found.all[rank][found.losses == 1 ? 0 : m / copies];
      for (int row = 0; (all || !Double.isFinite(loss)) && row < reading.micro(); row++) {
        for (Span span : reading.data().spans(reading.sample(first + m, row))) {
          Path file = reading.data().sources().get(span.source()).prefix();
          documents.add(span.document() + " of " + file);
        }
      }
    }
    List<String> listed = documents.stream().limit(LISTED).toList();
    int more = documents.size() - listed.size();
    return "; the batch reads documents "
        + String.join(", ", listed)
        + (more > 0 ? " and %,d more".formatted(more) : "");
  }

  /** Returns what the last step without a finite loss or gradient was when computed again. */
  String replayed() {
    return replayed;
  }

  /**
   * Returns the gradient norm of each part of the model in the last step: embedding, each layer,
   * final norm and head; empty without {@code log_grad_norm}.
   */
  double[] partNorms() {
    return partNorms.clone();
  }

  /** Makes one step; empty when it was stopped, which leaves weights and state unchanged. */
  private Optional<Step> step() {
    long start = System.nanoTime();
    Traffic traffic = processes.traffic();
    traffic.waitedSeconds(); // what an evaluation waited and sent is none of this step's
    traffic.sentBytes();
    double scale = state.scaler().scale();
    boolean scaled = config.precision().format() == PrecisionSection.Format.FP16;
    Found found;
    Found again = null;
    try {
      found = find(scale, start);
      // An overflow of scaled gradients is part of the rule.
      if (!found.isFinite() && !(scaled && Double.isFinite(found.loss))) {
        parameters.clearGradients();
        again = find(scale, start);
      }
    } catch (GradientStep.Stopped e) {
      parameters.clearGradients();
      return Optional.empty();
    } catch (JneoxException | InternalError | OutOfMemoryError e) {
      throw broken(e);
    }
    if (again != null) {
      compare(found, again);
    }
    double loss = found.loss;
    double norm = found.norm;
    partNorms = found.partNorms;
    boolean overflow = !Double.isFinite(norm);
    SpikeRule rule = config.optimizer().spikes();
    SpikeRule.Recent recent = Objects.requireNonNullElse(state.recent(), SpikeRule.Recent.NONE);
    Optional<String> spike =
        overflow ? Optional.empty() : rule.spike(recent, found.loss, found.norm);
    spike.ifPresent(
        leap ->
            note("step %d: skipped: %s".formatted(state.iteration() + 1, leap) + suspects(found)));
    boolean skipped = overflow || spike.isPresent();
    double lr = schedule.at(state.updates());
    if (skipped) {
      parameters.clearGradients();
    } else {
      double clip = config.optimizer().clip();
      double factor = clip > 0 && norm > clip ? clip / (norm + 1e-6) : 1;
      long update = System.nanoTime();
      adam.step(lr, factor / scale);
      traffic.trace().add(StepTrace.Span.UPDATE, update, 0);
      processes.shareWeights();
    }
    long tokens = (long) config.batch().total() * config.model().seqLength();
    state =
        new Checkpoint.State(
            state.iteration() + 1,
            adam.steps(),
            config.precision().lossScaler().after(state.scaler(), overflow),
            state.tokens() + tokens,
            order,
            !rule.isOn() ? null : overflow ? recent : rule.after(recent, loss, norm));
    double seconds = (System.nanoTime() - start) / 1e9;
    goodput.step(seconds);
    traffic.trace().add(StepTrace.Span.STEP, start, state.iteration());
    return Optional.of(
        new Step(
            state.iteration(),
            loss,
            lr,
            norm,
            scale,
            skipped,
            tokens,
            seconds,
            model.trainingFlops(tokens, config.model().seqLength()),
            traffic.waitedSeconds(),
            traffic.sentBytes()));
  }

  /**
   * Computes the gradient of the micro-batches of this copy of the model. Returns their losses; of
   * a pipeline, which has several under way at a time, only the mean.
   */
  private double[] gradient(double scale, long start) {
    int accumulation = config.batch().accumulation();
    int copies = processes.size();
    int batches = accumulation * copies;
    BatchOrder reading = data.order();
    long first = firstBatch + (long) (state.iteration() - startedAt) * batches + processes.rank();
    if (ranks().pipeline().size() > 1) {
      List<GradientStep.Batch> mine =
          IntStream.range(0, accumulation)
              .mapToObj(m -> batch(reading, first + (long) m * copies))
              .toList();
      return new double[] {gradients.gradient(mine, scale / batches, processes.listener())};
    }
    double[] losses = new double[accumulation];
    for (int m = 0; m < accumulation; m++) {
      boolean last = m + 1 == accumulation;
      long begun = System.nanoTime();
      losses[m] =
          gradients.gradient(
              batch(reading, first + (long) m * copies),
              scale / batches,
              last ? processes.listener() : GradientStep.ReadyListener.NONE);
      processes.traffic().trace().add(StepTrace.Span.GRADIENT, begun, m);
      ranks().supervision().progress();
      if (!last) {
        int done = m + 1;
        double seconds = (System.nanoTime() - start) / 1e9;
        tell(
            callback ->
                callback.afterMicroBatch(state.iteration() + 1, done, accumulation, seconds));
      }
    }
    return losses;
  }

  private GradientStep.Batch batch(BatchOrder reading, long index) {
    return TrainingData.batch(reading, index, model.vocabulary().used(), maskedId);
  }

  /** Tells the callbacks that reading data or computing failed, and returns the error to throw. */
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
   * Computes the mean loss over batches of a data set, in nats per token.
   *
   * @param first the first batch
   * @return empty when the run was stopped, on all ranks
   */
  OptionalDouble meanLoss(Dataset dataset, long first, int batches) {
    BatchOrder reading = data.order(dataset);
    int copies = processes.size();
    double[] mine = new double[Math.ceilDiv(batches, copies)];
    double sum = 0;
    try {
      for (int b = processes.rank(), n = 0; n < mine.length; b += copies, n++) {
        if (b < batches) {
          mine[n] = gradients.loss(batch(reading, first + b));
          ranks().supervision().progress();
        }
        boolean last = n + 1 == mine.length;
        if (stopsTogether(last ? next(state.iteration()) : state.iteration())) {
          return OptionalDouble.empty();
        }
      }
      double[][] all = processes.exchange(mine);
      for (int b = 0; b < batches; b++) {
        sum += all[b % copies][b / copies];
      }
    } catch (GradientStep.Stopped e) {
      return OptionalDouble.empty();
    } catch (JneoxException | InternalError | OutOfMemoryError e) {
      throw broken(e);
    }
    return OptionalDouble.of(sum / batches);
  }

  /** Returns whether one of several processes was asked to stop; then all of them do. */
  private boolean stopsTogether(int next) {
    if (!processes.isAlone()) {
      for (double[] rank : processes.exchangeAll(isAsked(next) ? 1 : 0)) {
        stopping |= rank[0] > 0;
      }
    }
    return stopping;
  }

  @Override
  public void close() {
    gradients.close();
    if (!processes.isSumming()) { // the memory of sums that failed is left to the process's end
      parameters.close();
    }
  }
}
