package dev.jneox.cli;

import dev.jneox.checkpoint.HfFolder;
import dev.jneox.io.InputException;
import dev.jneox.io.Progress;
import dev.jneox.tensor.Machine;
import dev.jneox.tensor.Products;
import dev.jneox.tokenizer.Tokenizer;
import dev.jneox.train.NeoxConfig;
import dev.jneox.train.PrecisionSection;
import dev.jneox.train.Trainer;
import dev.jneox.train.TrainingData;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Trains a model as a GPT-NeoX configuration says. */
@Command(
    name = "train",
    sortOptions = false,
    description = {
      "Train a model as a configuration in GPT-NeoX's own keys says.",
      "Several files are merged. With save set, checkpoints go to SAVE/global_stepN, each an HF folder that",
      "generate and score read, with metrics.csv and TensorBoard events beside; with load set to the",
      "same folder a run goes on where its newest checkpoint left it, to the last bit."
    },
    footer = {
      "",
      "Examples:",
      "  jneox train configs/pythia/14M.yml data.yml --set train_iters=1000",
      "  jneox train run.yml --set save=run --set load=run --set checkpoint_factor=500"
    })
public final class TrainCommand implements Runnable {
  @Spec private CommandSpec spec;

  @Option(names = {"-h", "--help"}, usageHelp = true, description = "Show this help.")
  private boolean help;

  @Parameters(arity = "1..*", paramLabel = "CONFIG.yml", description = "Configuration files, merged in this order.")
  private List<Path> files;

  @Option(names = "--set", paramLabel = "KEY=VALUE", description = "Set a key over the files; inner ones with dots: optimizer.params.lr=1e-3.")
  private List<String> sets = new ArrayList<>();

  @Override
  public void run() {
    NeoxConfig config = NeoxConfig.load(files, sets);
    Path vocabulary = config.data().vocabFile().orElseThrow(() -> new InputException(
        "vocab_file is required and not set: the tokenizer.json that the data was prepared with"));
    PrintWriter out = spec.commandLine().getOut();
    try (Tokenizer tokenizer = Tokenizer.load(vocabulary);
        Progress progress = Progress.of("data order", "samples", -1);
        TrainingData data = TrainingData.open(config, progress);
        Trainer trainer = new Trainer(config, tokenizer.vocabSize(), tokenizer.id("<|endoftext|>").orElse(-1), vocabulary, data)) {
      progress.close();
      describe(out, config, trainer);
      trainer.run(new StepLines(out, config.run().logInterval(), trainer.iterations(), gemmRate(config)));
    }
  }

  static void describe(PrintWriter out, NeoxConfig config, Trainer trainer) {
    out.printf(
        Locale.ROOT, "%,d parameters: %d layers x %d, %d heads, vocabulary %,d; %s; %d x %d x %d tokens a step%n",
        trainer.model().parameters(), trainer.model().layers(), trainer.model().hiddenSize(), trainer.model().heads(),
        trainer.model().vocabSize(), precision(config.precision().format()), config.batch().accumulation(),
        config.batch().micro(), config.model().seqLength());
    if (HfFolder.modelType(trainer.model()).equals(HfFolder.OWN_TYPE)) {
      out.println("HF transformers has no model of this shape: checkpoints are of JNeoX's own type, which it does not load");
    }
    if (trainer.iteration() > 0) {
      out.printf(Locale.ROOT, "resuming after step %d of %d%n", trainer.iteration(), trainer.iterations());
    }
    out.flush();
  }

  private static String precision(PrecisionSection.Format format) {
    String name = format.name().toLowerCase(Locale.ROOT);
    // Which of the two it is decides the order of sums, so the losses' last digits, and the rate.
    return Products.carrier(format.dtype()) == format.dtype() ? name : name + " (multiplied in fp32)";
  }

  /** Of the kind of matrix product the run will use. */
  static double gemmRate(NeoxConfig config) {
    return Machine.gemmRate(Products.carrier(config.precision().format().dtype()));
  }
}
