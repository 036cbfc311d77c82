package dev.jneox.cli.train;

import dev.jneox.cli.ProgressLine;
import dev.jneox.format.hf.HfFolder;
import dev.jneox.io.InputException;
import dev.jneox.io.Progress;
import dev.jneox.model.ModelSpec;
import dev.jneox.tokenizer.Tokenizer;
import dev.jneox.tokenizer.TokenizerJson;
import dev.jneox.torch.Device;
import dev.jneox.torch.Machine;
import dev.jneox.torch.Products;
import dev.jneox.train.Forecast;
import dev.jneox.train.NeoxConfig;
import dev.jneox.train.PrecisionSection;
import dev.jneox.train.Resume;
import dev.jneox.train.RunDirectory;
import dev.jneox.train.Trainer;
import dev.jneox.train.TrainingCallback;
import dev.jneox.train.TrainingData;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
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
      "Train a model as a configuration in GPT-NeoX's own keys says.",
      "Several files are merged. With save set, checkpoints go to SAVE/global_stepN,",
      "each an HF folder that generate and score read, with metrics.csv and TensorBoard",
      "events beside; with load set to the same folder a run goes on from the",
      "checkpoint that SAVE/latest names, to the last bit.",
      "",
      "Ctrl-C or SIGTERM saves after the last whole step and stops; a second one leaves",
      "at once. Each checkpoint lists its files with checksums (manifest.crc32c), and a",
      "run goes on from it only when all of them are right.",
      ""
    },
    footer = {
      "",
      "Exit codes: 0 done, 1 bad input or a failed run, 2 wrong usage, 130 stopped by",
      "Ctrl-C, 143 by SIGTERM.",
      "",
      "Examples:",
      "  jneox train configs/pythia/14M.yml data.yml --set train_iters=1000",
      "  jneox train run.yml --set save=run --set load=run --set checkpoint_factor=500",
      "  jneox train run.yml --set save=run --set load=run --restart"
    })
public final class TrainCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Option(
      names = {"-h", "--help"},
      usageHelp = true,
      description = "Show this help.")
  private boolean help;

  @Parameters(
      arity = "1..*",
      paramLabel = "CONFIG.yml",
      description = "Configuration files, merged in this order.")
  private List<Path> files;

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
      names = "--restart",
      description =
          "Begin anew although the folder of save has checkpoints. They stay until"
              + " keep_last_n_checkpoints removes them; metrics.csv gets another name.")
  private boolean restart;

  @Option(
      names = "--skip-damaged",
      description = "Go on from the newest whole checkpoint where the newest is damaged.")
  private boolean skipDamaged;

  @Option(
      names = "--no-verify",
      description =
          "Go on from a checkpoint without verifying it, as from one that has no manifest.")
  private boolean noVerify;

  @Override
  public Integer call() {
    NeoxConfig config = NeoxConfig.load(files, sets);
    Device on = device();
    Path vocabulary =
        config
            .data()
            .vocabFile()
            .orElseThrow(
                () ->
                    new InputException(
                        "vocab_file is required and not set: the tokenizer.json (or vocab.json"
                            + " with merge_file) that the data was prepared with"));
    PrintWriter out = spec.commandLine().getOut();
    try (Tokenizer tokenizer =
            Tokenizer.parse(TokenizerJson.read(vocabulary, config.data().mergeFile()), vocabulary);
        RunDirectory directory =
            RunDirectory.open(config.checkpoint(), new Resume(restart, skipDamaged, noVerify));
        TrainingData data = data(config, tokenizer, on);
        Trainer trainer =
            new Trainer(
                config,
                tokenizer.vocabSize(),
                endOfText(tokenizer),
                vocabulary,
                data,
                directory,
                on)) {
      describe(out, config, trainer, directory);
      double gemmRate = gemmRate(config, on);
      forecast(out, config, trainer, gemmRate);
      StepLines lines =
          new StepLines(out, config.run().logInterval(), trainer.iterations(), gemmRate);
      boolean same = config.checkpoint().load().equals(config.checkpoint().save());
      String goOn =
          same && !config.checkpoint().finetune()
              ? "start the same command again to go on"
              : "start again with load=%s"
                  + (config.checkpoint().finetune() ? " and finetune=false" : "")
                  + " to go on";
      return train(config, trainer, spec.commandLine().getErr(), goOn, lines);
    }
  }

  private Device device() {
    try {
      return Device.parse(device);
    } catch (IllegalArgumentException e) {
      throw new ParameterException(spec.commandLine(), "--device: " + e.getMessage());
    }
  }

  private static int endOfText(Tokenizer tokenizer) {
    return tokenizer.id("<|endoftext|>").orElse(-1);
  }

  private static TrainingData data(NeoxConfig config, Tokenizer tokenizer, Device device) {
    Trainer.check(config, tokenizer.vocabSize(), endOfText(tokenizer), device);
    try (Progress progress = ProgressLine.of("data order", "samples", -1)) {
      return TrainingData.open(config, progress);
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
    try (StopSignals signals = new StopSignals(trainer, err)) {
      if (trainer.run(listeners) == Trainer.End.STOPPED) {
        err.println(
            !saves
                ? "nothing was saved: save is not set"
                : trainer.checkpoint().isEmpty()
                    ? "nothing was saved: no step was done"
                    : goOn.formatted(trainer.checkpoint().get().getParent()));
      }
      return signals.exitCode();
    }
  }

  static void describe(
      PrintWriter out, NeoxConfig config, Trainer trainer, RunDirectory directory) {
    out.printf(
        Locale.ROOT,
        "%,d parameters: %d layers x %d, %d heads, vocabulary %,d; %s; %d x %d x %d tokens a"
            + " step%n",
        trainer.model().parameterCount(),
        trainer.model().layers(),
        trainer.model().width(),
        trainer.model().first().attention().heads(),
        trainer.model().vocabulary().rows(),
        precision(config.precision().format(), trainer.device()),
        config.batch().accumulation(),
        config.batch().micro(),
        config.model().seqLength());
    if (isOwnType(trainer.model())) {
      out.println(
          "HF transformers has no model of this shape: checkpoints are of JNeoX's own type, which"
              + " it does not load");
    }
    directory.notes().forEach(out::println);
    trainer.concerns().forEach(out::println);
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
          "nothing to train: step %d of %d is done; raise train_iters to go on%n",
          trainer.iteration(),
          trainer.iterations());
      return;
    }
    out.printf(
        Locale.ROOT,
        "%,d steps, about %s on this machine as it is now%n",
        forecast.steps(),
        StepLines.clock(forecast.seconds(gemmRate)));
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

  /** Of the kind of matrix product the run will use. */
  static double gemmRate(NeoxConfig config, Device device) {
    return Machine.gemmRate(Products.carrier(config.precision().format().dtype(), device), device);
  }
}
