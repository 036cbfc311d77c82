package dev.jneox.cli.train;

import dev.jneox.cli.ProgressLine;
import dev.jneox.cli.Signals;
import dev.jneox.dist.Ranks;
import dev.jneox.dist.Supervision;
import dev.jneox.dist.World;
import dev.jneox.format.hf.HfFolder;
import dev.jneox.io.InputException;
import dev.jneox.io.LaunchFolder;
import dev.jneox.io.PeerException;
import dev.jneox.io.Progress;
import dev.jneox.io.Shell;
import dev.jneox.io.TargetLock;
import dev.jneox.model.ModelSpec;
import dev.jneox.tokenizer.Tokenizer;
import dev.jneox.tokenizer.TokenizerJson;
import dev.jneox.torch.Device;
import dev.jneox.torch.Libtorch;
import dev.jneox.torch.Machine;
import dev.jneox.torch.Products;
import dev.jneox.train.Forecast;
import dev.jneox.train.NeoxConfig;
import dev.jneox.train.ParallelSection;
import dev.jneox.train.PrecisionSection;
import dev.jneox.train.Resume;
import dev.jneox.train.RunDirectory;
import dev.jneox.train.Trainer;
import dev.jneox.train.TrainingCallback;
import dev.jneox.train.TrainingData;
import dev.jneox.weights.Dtype;
import java.io.PrintWriter;
import java.io.Writer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.concurrent.Callable;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Trains a model as a GPT-NeoX configuration says. */
@Command(
    name = "train",
    sortOptions = false,
    description = {
      "Train a model as a configuration in GPT-NeoX's own keys says, or on texts of your own"
          + " without one (--text).",
      "Several files are merged. With save set, checkpoints go to SAVE/global_stepN, each an HF"
          + " folder that generate and score read, with metrics.csv and TensorBoard events beside;"
          + " with load set to the same folder a run goes on from the checkpoint that SAVE/latest"
          + " names, to the last bit.",
      "",
      "Ctrl-C or SIGTERM saves after the last whole step and stops; a second one leaves at once."
          + " Each checkpoint lists its files with checksums (manifest.crc32c), and a run goes on"
          + " from it only when all of them are right, else from the one before. SAVE/loss.png is"
          + " the picture of the loss.",
      "",
      "In several processes (launch, srun, mpirun, torchrun) each has a copy of the model and a"
          + " part of each batch: train_batch_size counts the sequences of all of them."
          + " model_parallel_size divides the matrices of a copy among processes,"
          + " pipe_parallel_size its layers. zero_optimization: {stage: 1} shares the optimizer's"
          + " moments out among copies. A run goes on in any layout that divides model and batch.",
      "",
      "To begin from a model: finetune: true, and load: an HF folder, a checkpoint of GPT-NeoX, a"
          + " GGUF file or a run. Its weights are read; optimizer, steps, learning rate and data"
          + " begin anew. The keys of the model's shape must be those of the model. A vocab_file"
          + " with more ids adds rows to embedding and head: the mean of the rows that are there.",
      "",
      "eval_tasks: [piqa, ...] evaluates tasks of lm-evaluation-harness every eval_interval steps"
          + " and after the last, over the first eval_task_limit documents of each: printed, in"
          + " SAVE/tasks.csv and for TensorBoard as validation/TASK_METRIC.",
      "",
      "With --text everything goes to one folder: a tokenizer, the data, the recipe train.yml,"
          + " checkpoints. A validation and a test part are held out. The same command goes on from"
          + " where it was stopped.",
      ""
    },
    footer = {
      "",
      "Exit codes: 0 done, 1 bad input or a failed run, 2 wrong usage, 130 stopped by Ctrl-C, 143"
          + " by SIGTERM, 75 another process of the run failed, 71 the machine computed a step"
          + " twice and not with the same result.",
      "",
      "The line of a step has means since the line before: the loss in nats per token, the learning"
          + " rate, the gradient's norm before clipping, tokens per second, the model's"
          + " floating-point operations per second, their share of the rate of this machine's"
          + " matrix products as measured at the start (%% of GEMM; above 100 %% when other"
          + " programs ran then), and with several processes the share of the time in which rank 0"
          + " waited for others (%% waiting).",
      "",
      "Examples:",
      "  jneox train --text my-texts --time 30m --out my-model",
      "  jneox train configs/pythia/14M.yml data.yml --set train_iters=1000",
      "  jneox train run.yml --set save=run --set load=run --set checkpoint_factor=500",
      "  jneox train run.yml --set save=run --set load=run --restart"
    })
public final class TrainCommand implements Callable<Integer> {
  /** How long training on text may take where nothing is said. */
  private static final double DEFAULT_SECONDS = 600;

  private static final double LONGEST_SECONDS = 1000 * 3600;

  @Spec private CommandSpec spec;

  @Option(
      names = {"-h", "--help"},
      usageHelp = true,
      description = "Show this help.")
  private boolean help;

  @Parameters(
      arity = "0..*",
      paramLabel = "CONFIG.yml",
      description = "Configuration files, merged in this order.")
  private List<Path> files = new ArrayList<>();

  @Option(
      names = "--text",
      paramLabel = "PATH",
      description =
          "Train on this file or folder of .txt, .md, .jsonl, .zip or .jar, without a CONFIG.yml;"
              + " may be given several times.")
  private List<Path> texts = new ArrayList<>();

  @Option(
      names = "--out",
      paramLabel = "DIR",
      description = "With --text: where everything goes. Default: jneox-run.")
  private Path folder;

  @Option(
      names = "--time",
      paramLabel = "N[s|m|h]",
      description =
          "With --text: how long it may train on an idle machine, about, from 1s to 1000h; sets the"
              + " number of steps. Default: 10m.")
  private String time;

  @Option(
      names = "--size",
      paramLabel = "SIZE",
      description =
          "With --text: tiny, small, medium, large or base (0.8, 5, 14, 38 or 85 million parameters"
              + " in the layers). Default: by the amount of text and the time.")
  private String size;

  @Option(
      names = "--skip-bad",
      description =
          "With --text: leave out documents that are no JSON or no UTF-8 and count them, instead of"
              + " stopping.")
  private boolean skipBad;

  @Option(
      names = "--sample",
      paramLabel = "PROMPT",
      description =
          "A text that the model continues after each validation, printed and kept in"
              + " SAVE/samples.txt; may be given several times. With --text, one begins with the"
              + " first words of the text that is held out.")
  private List<String> prompts = new ArrayList<>();

  @Option(
      names = "--set",
      paramLabel = "KEY=VALUE",
      description = "Set a key over the files; inner ones with dots: optimizer.params.lr=1e-3.")
  private List<String> sets = new ArrayList<>();

  @Option(
      names = "--device",
      paramLabel = "cpu|auto|cuda[:N]",
      defaultValue = "cpu",
      description =
          "What computes; auto is the first CUDA device, or the CPU where there is none. CUDA needs"
              + " the CUDA build of libtorch on the class path (see the README) and has not been"
              + " tried on a card yet. A run can resume on another device; only the CPU"
              + " repeats losses to the last bit. Default: ${DEFAULT-VALUE}.")
  private String device;

  @Option(
      names = "--eval-data",
      paramLabel = "DIR",
      description =
          "Data of eval_tasks, as those of eval --data: DIR/TASK/SPLIT.jsonl or .parquet. Default:"
              + " the hub.")
  private Path evalData;

  @Option(
      names = "--restart",
      description =
          "Begin anew although the folder of save has checkpoints. They stay until"
              + " keep_last_n_checkpoints removes them; metrics.csv gets another name.")
  private boolean restart;

  @Option(
      names = "--skip-damaged",
      description =
          "Go on from the newest whole checkpoint where the newest is damaged, also when load is"
              + " not the folder of save.")
  private boolean skipDamaged;

  @Option(
      names = "--no-verify",
      description =
          "Go on from a checkpoint without verifying it, as from one that has no manifest.")
  private boolean noVerify;

  @Override
  public Integer call() {
    if (texts.isEmpty()) {
      if (files.isEmpty()) {
        throw wrongUsage("a CONFIG.yml, or --text with a file or folder, is required");
      }
      if (folder != null || time != null || size != null || skipBad) {
        throw wrongUsage(
            "--out, --time, --size and --skip-bad go with --text; a CONFIG.yml has keys for them");
      }
      World world = World.of(System.getenv());
      Device on = device();
      if (world.size() > 1 && !on.isCpu()) {
        throw wrongUsage("--device: several processes train on the CPU alone, found " + device);
      }
      return train(NeoxConfig.load(files, sets, world.size()), on, world);
    }
    if (!files.isEmpty()) {
      throw wrongUsage("--text and a CONFIG.yml exclude each other");
    }
    if (World.of(System.getenv()).size() > 1) {
      throw wrongUsage(
          "--text trains in one process: start it so, then launch train with its recipe train.yml");
    }
    return trainOnText(new TextRun(folder == null ? Path.of("jneox-run") : folder));
  }

  private int trainOnText(TextRun run) {
    long start = System.nanoTime();
    Optional<Double> asked = Optional.ofNullable(time).map(this::seconds);
    Optional<TextRun.Size> wanted = Optional.ofNullable(size).map(this::size);
    Device on = device();
    PrintWriter out = spec.commandLine().getOut();
    try (TargetLock _ = TargetLock.take(run.folder())) {
      if (run.isMade(texts, asked, wanted)) {
        out.println("going on by " + run.recipe());
        run.changed(texts).ifPresent(out::println);
      } else {
        run.check(texts, sets);
        Libtorch.start(); // reports a fault in its libraries before a minute of work
        Dtype product = Products.carrier(Dtype.BF16, on);
        // The best of three: another program's moment must not decide about the model.
        double gemmRate =
            IntStream.range(0, 3)
                .mapToDouble(_ -> Machine.gemmRate(product, on))
                .max()
                .orElseThrow();
        run.make(out, texts, asked.orElse(DEFAULT_SECONDS), wanted, skipBad, gemmRate);
      }
      NeoxConfig config = NeoxConfig.load(List.of(run.recipe()), sets, 1);
      if (prompts.isEmpty()) {
        prompts.add(run.prompt());
      }
      int code = train(config, on, World.ALONE);
      if (code == 0) {
        run.summary(out, config.checkpoint().save(), (System.nanoTime() - start) / 1e9);
      }
      return code;
    }
  }

  private ParameterException wrongUsage(String message) {
    return new ParameterException(spec.commandLine(), message);
  }

  private TextRun.Size size(String name) {
    return TextRun.Size.named(name)
        .orElseThrow(
            () -> wrongUsage("--size: expected tiny, small, medium, large or base, found " + name));
  }

  private double seconds(String text) {
    Matcher matcher = Pattern.compile("(\\d{1,6}(?:\\.\\d{1,6})?)([smh])").matcher(text);
    if (!matcher.matches()) {
      throw wrongUsage("--time: expected a number with s, m or h, such as 30m, found " + text);
    }
    double unit =
        switch (matcher.group(2)) {
          case "s" -> 1;
          case "m" -> 60;
          default -> 3600;
        };
    double seconds = Double.parseDouble(matcher.group(1)) * unit;
    if (seconds < 1 || seconds > LONGEST_SECONDS) {
      throw wrongUsage("--time: expected 1s to 1000h, found " + text);
    }
    return seconds;
  }

  private int train(NeoxConfig config, Device on, World world) {
    Path vocabulary =
        config
            .data()
            .vocabFile()
            .orElseThrow(
                () ->
                    new InputException(
                        "vocab_file is required and not set: the tokenizer.json (or vocab.json"
                            + " with merge_file) that the data was prepared with"));
    try (Tokenizer tokenizer =
        Tokenizer.parse(TokenizerJson.read(vocabulary, config.data().mergeFile()), vocabulary)) {
      // What a rank can find out by itself it says before it waits for the others.
      Trainer.check(config, tokenizer.vocabSize(), endOfText(tokenizer), on, world.localSize());
      try (Supervision supervision = Supervision.of(System.getenv(), world);
          Ranks ranks = Ranks.join(world, config.parallel().mesh(), supervision)) {
        return train(config, on, ranks, tokenizer, vocabulary);
      }
    }
  }

  private int train(
      NeoxConfig config, Device on, Ranks ranks, Tokenizer tokenizer, Path vocabulary) {
    PrintWriter silent = new PrintWriter(Writer.nullWriter());
    PrintWriter out = ranks.isFirst() ? spec.commandLine().getOut() : silent;
    PrintWriter err = ranks.isFirst() ? spec.commandLine().getErr() : silent;
    Trainer.requireSame(config, ranks);
    try (RunDirectory directory =
            RunDirectory.open(config.checkpoint(), resume(ranks.supervision()), ranks);
        TrainingData data = data(config, ranks);
        Trainer trainer =
            new Trainer(
                config,
                tokenizer.vocabSize(),
                endOfText(tokenizer),
                vocabulary,
                data,
                directory,
                on,
                ranks)) {
      Optional<Path> save = config.checkpoint().save();
      ranks.supervision().progress();
      if (ranks.isFirst()) {
        ranks.supervision().folder().ifPresent(launch -> launch.firstSave(directory.nextSave()));
      }
      Samples samples =
          new Samples(
              out,
              tokenizer,
              prompts,
              save.map(path -> path.resolve("samples.txt")),
              config.run().seed());
      List<TrainingCallback> listeners = new ArrayList<>();
      if (!config.run().evalTasks().isEmpty()) {
        listeners.add(
            new TaskScores(
                out, config, tokenizer, vocabulary, Optional.ofNullable(evalData), ranks));
      } else if (evalData != null) {
        throw wrongUsage("--eval-data is for eval_tasks, which is not set");
      }
      if (ranks.isFirst()) {
        describe(out, config, trainer, directory);
      }
      double gemmRate = gemmRate(config, on, ranks);
      if (!ranks.isFirst()) {
        listeners.add(samples);
        return train(config, trainer, err, "", listeners.toArray(TrainingCallback[]::new));
      }
      forecast(out, config, trainer, gemmRate);
      StepLines lines =
          new StepLines(out, config.run().logInterval(), trainer.iterations(), gemmRate);
      listeners.addFirst(lines);
      save.ifPresent(
          path ->
              listeners.add(
                  new LossPicture(
                      out, path, (long) config.batch().total() * config.model().seqLength())));
      listeners.add(samples);
      boolean same = config.checkpoint().load().equals(config.checkpoint().save());
      String goOn =
          same && !config.checkpoint().finetune()
              ? "start the same command again to go on"
              : "start again with load=%s"
                  + (config.checkpoint().finetune() ? " and finetune=false" : "")
                  + " to go on";
      return train(config, trainer, err, goOn, listeners.toArray(TrainingCallback[]::new));
    }
  }

  /** Returns what the options permit, and what a run may do that a supervisor has restarted. */
  private Resume resume(Supervision supervision) {
    return new Resume(
        restart,
        skipDamaged,
        noVerify,
        supervision.restarts() == 0
            ? OptionalLong.empty()
            : supervision.folder().map(LaunchFolder::firstSave).orElse(OptionalLong.empty()));
  }

  private Device device() {
    try {
      return Device.parse(device);
    } catch (IllegalArgumentException e) {
      throw wrongUsage("--device: " + e.getMessage());
    }
  }

  private static int endOfText(Tokenizer tokenizer) {
    return tokenizer.id("<|endoftext|>").orElse(-1);
  }

  private static TrainingData data(NeoxConfig config, Ranks ranks) {
    try (Progress progress =
        ranks.isFirst() ? ProgressLine.of("data order", "samples", -1) : Progress.silent()) {
      return TrainingData.open(config, new Told(progress, ranks.supervision()), ranks);
    }
  }

  /** Tells the launcher, too, that the data order gets on. */
  private static final class Told extends Progress {
    private final Progress shown;
    private final Supervision supervision;

    Told(Progress shown, Supervision supervision) {
      super(-1);
      this.shown = shown;
      this.supervision = supervision;
    }

    @Override
    public void step(long n) {
      shown.step(n);
      supervision.progress();
    }

    @Override
    public synchronized void expect(long more) {
      shown.expect(more);
    }

    @Override
    public synchronized void total(long total) {
      shown.total(total);
    }
  }

  /**
   * Trains until the end or a signal, after which it says how to go on; returns the exit code.
   *
   * @param goOn format of that line, of the folder that has the checkpoint
   */
  static int train(
      NeoxConfig config,
      Trainer trainer,
      PrintWriter err,
      String goOn,
      TrainingCallback... listeners) {
    boolean saves = config.checkpoint().save().isPresent();
    StopSignals signals = new StopSignals(trainer, err);
    try (signals) {
      if (trainer.run(listeners) == Trainer.End.STOPPED) {
        err.println(
            !saves
                ? "nothing was saved: save is not set"
                : trainer.checkpoint().isEmpty()
                    ? "nothing was saved: no step was done"
                    : goOn.formatted(
                        Shell.quoted(
                            Objects.requireNonNull(trainer.checkpoint().get().getParent()))));
      }
      return signals.exitCode();
    } catch (PeerException e) {
      // Those that were asked to stop before their first step are gone already.
      if (signals.exitCode() == 0 || trainer.saves(trainer.iteration())) {
        throw e;
      }
      return signals.exitCode();
    }
  }

  static void describe(
      PrintWriter out, NeoxConfig config, Trainer trainer, RunDirectory directory) {
    out.printf(
        Locale.ROOT,
        "%,d parameters: %d layers x %d, %d heads, vocabulary %,d%n%s; %s%d x %d x %d tokens a"
            + " step%n",
        trainer.model().parameterCount(),
        trainer.model().layers(),
        trainer.model().width(),
        trainer.model().first().attention().heads(),
        trainer.model().vocabulary().rows(),
        precision(config.precision().format(), trainer.device()),
        config.parallel().data() == 1
            ? ""
            : config.parallel().data()
                + (config.parallel().processes() == config.parallel().data()
                    ? " processes"
                    : " copies")
                + (config.optimizer().zeroStage() == 1 ? " with ZeRO-1" : "")
                + " x ",
        config.batch().accumulation(),
        config.batch().micro(),
        config.model().seqLength());
    ParallelSection parallel = config.parallel();
    if (parallel.processes() > parallel.data()) {
      out.println(parallel);
    }
    if (isOwnType(trainer.model())) {
      out.println(
          "HF transformers has no model of this shape: checkpoints are of JNeoX's own type, which"
              + " it does not load");
    }
    trainer.estimate().forEach(out::println);
    directory.notes().forEach(out::println);
    trainer.warnings().forEach(out::println);
    if (!config.ignored().isEmpty()) {
      out.println("these keys have no effect here: " + String.join(", ", config.ignored()));
    }
    directory
        .start()
        .ifPresent(
            from ->
                out.println(
                    trainer.iteration() == 0
                        ? "starting from the weights of " + from
                        : String.format(
                            Locale.ROOT,
                            "resuming from %s after step %d of %d",
                            from,
                            trainer.iteration(),
                            trainer.iterations())));
    out.flush();
  }

  private static boolean isOwnType(ModelSpec model) {
    try {
      return HfFolder.modelType(model).equals(HfFolder.OWN_TYPE);
    } catch (IllegalArgumentException e) {
      return true; // it has parts that no folder can hold yet
    }
  }

  /** Says how long the run will take. */
  static void forecast(PrintWriter out, NeoxConfig config, Trainer trainer, double gemmRate) {
    Forecast forecast = Forecast.of(trainer, config);
    if (forecast.steps() <= 0) {
      out.printf(
          Locale.ROOT,
          "nothing to train: step %d of %d is done; to go on raise train_iters, as with --set"
              + " train_iters=%d%n",
          trainer.iteration(),
          trainer.iterations(),
          2L * trainer.iterations());
      return;
    }
    out.printf(
        Locale.ROOT,
        "%,d steps, about %s on this machine as it is now%s%n",
        forecast.steps(),
        StepLines.clock(forecast.seconds(gemmRate)),
        config.parallel().processes() > 1 ? ", and the exchanges between processes" : "");
    out.flush();
  }

  private static String precision(PrecisionSection.Format format, Device device) {
    String name = format.name().toLowerCase(Locale.ROOT);
    if (!device.isCpu()) {
      return name + " on " + device;
    }
    // Which of the two it is decides the order of sums, so the losses' last digits, and the rate.
    return Products.carrier(format.dtype()) == format.dtype()
        ? name
        : name + " (multiplied in fp32)";
  }

  /** Returns the rate of all processes, which measure at the same time: some share their cores. */
  private static double gemmRate(NeoxConfig config, Device device, Ranks ranks) {
    // Nothing is unfinished yet, and a JVM that exits while libtorch computes may crash.
    try (Signals _ =
        new Signals(
            Map.of("INT", 2, "TERM", 15), number -> Runtime.getRuntime().halt(128 + number))) {
      ranks.barrier();
      double sum = 0;
      for (double[] rate : Ranks.exchange(ranks.world(), gemmRate(config, device))) {
        sum += rate[0];
      }
      return sum;
    }
  }

  /** Of the kind of matrix product the run will use. */
  static double gemmRate(NeoxConfig config, Device device) {
    return Machine.gemmRate(Products.carrier(config.precision().format().dtype(), device), device);
  }
}
