package dev.jneox.cli.train;

import dev.jneox.cli.Launcher;
import dev.jneox.cli.Usage;
import dev.jneox.convert.ModelCard;
import dev.jneox.convert.TrainingFacts;
import dev.jneox.data.HoldOut;
import dev.jneox.data.Prepare;
import dev.jneox.data.UnigramCounts;
import dev.jneox.infer.GenerationRequest;
import dev.jneox.infer.LanguageModel;
import dev.jneox.infer.Precision;
import dev.jneox.io.AtomicFile;
import dev.jneox.io.InputException;
import dev.jneox.io.Overwrite;
import dev.jneox.io.Progress;
import dev.jneox.io.Shell;
import dev.jneox.io.StorageException;
import dev.jneox.io.TargetLock;
import dev.jneox.model.ModelSpec;
import dev.jneox.tokenizer.BpeTrainer;
import dev.jneox.tokenizer.Tokenizer;
import dev.jneox.tokenizer.TrainedBpe;
import dev.jneox.torch.Libtorch;
import dev.jneox.torch.Products;
import dev.jneox.train.LossCurve;
import dev.jneox.train.NeoxConfig;
import dev.jneox.train.Resume;
import dev.jneox.train.RunDirectory;
import dev.jneox.train.Trainer;
import dev.jneox.train.TrainingData;
import dev.jneox.weights.Dtype;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintWriter;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/**
 * Trains a model on the sources of well-known Java libraries: from texts to a model that writes.
 */
@Command(
    name = "demo",
    sortOptions = false,
    description = {
      "Text in, a trained GPT-NeoX out: the main job, end to end.",
      "In under five minutes on two cores, the sources of Apache-2.0 Java libraries become a"
          + " byte-level BPE vocabulary, Megatron .bin/.idx files, a trained model, a loss curve"
          + " (PNG), an HF folder, and some Java that the model writes.",
      "The same seed and minutes give the same losses."
    },
    footer = {"", "Example:", "  jneox demo --minutes 2 --out my-demo --seed 7"})
public final class DemoCommand implements Callable<Integer> {
  /**
   * Training steps per minute of the whole demo on a CPU that multiplies bf16, measured on two
   * cores of a Zen 4. The number is fixed, so that results do not depend on the clock.
   */
  private static final int STEPS_A_MINUTE = 55;

  /** Training steps per minute on a CPU without bf16 products, measured on two cores of a Zen 3. */
  private static final int CARRIED_STEPS_A_MINUTE = 22;

  private static final int VOCABULARY = 8192;

  /** Documents of which one is held out for validation. */
  private static final int HOLD_OUT = 20;

  private static final String PROMPT =
      "  /**\n   * Returns the number of elements in the given array";

  /**
   * Epochs of each library relative to the others, as in the Pile; a library that is not named here
   * has 1.
   */
  private static final Map<String, Double> WEIGHTS =
      Map.of("lucene-core", 3.0, "guava", 3.0, "commons-math3", 2.0, "jackson-databind", 2.0);

  @Spec private CommandSpec spec;

  @Option(
      names = {"-h", "--help"},
      usageHelp = true,
      description = "Show this help.")
  private boolean help;

  @Option(
      names = "--minutes",
      paramLabel = "M",
      defaultValue = "4",
      description =
          "How long it may take on two cores; sets the number of training steps. Default:"
              + " ${DEFAULT-VALUE}.")
  private double minutes;

  @Option(
      names = "--out",
      paramLabel = "DIR",
      defaultValue = "jneox-demo",
      description = "Where everything goes. Default: ${DEFAULT-VALUE}.")
  private Path out;

  @Option(
      names = "--seed",
      paramLabel = "N",
      defaultValue = "1234",
      description = "Of weights, data order and sampling. Default: ${DEFAULT-VALUE}.")
  private int seed;

  @Option(
      names = "--corpus",
      paramLabel = "DIR",
      description = "Train on the jars, .jsonl and .txt files of this folder instead.")
  private Path corpus;

  @Option(
      names = "--force",
      description = "Write over an earlier demo in that folder, which starts over.")
  private boolean force;

  @Override
  public Integer call() {
    Usage.require(
        spec,
        minutes >= 0.2 && minutes <= 10_000,
        "--minutes",
        "a number from 0.2 to 10000",
        minutes);
    Usage.require(spec, seed >= 0, "--seed", "a number from 0 on", seed);
    Overwrite.check(out, force);
    try (TargetLock _ = TargetLock.take(out)) {
      return demo();
    }
  }

  private int demo() {
    long start = System.nanoTime();
    List<Path> libraries = libraries();

    Libtorch.start(); // reports a fault in its libraries before a minute of work
    say(
        "[1/5] tokenizer: a byte-level BPE vocabulary of %,d from %d libraries",
        VOCABULARY, libraries.size());
    Path vocabulary = out.resolve("tokenizer.json");
    trainTokenizer(libraries, vocabulary);

    try (Tokenizer tokenizer = Tokenizer.load(vocabulary)) {
      say("[2/5] data: tokens in Megatron .bin/.idx files, one document in %d held out", HOLD_OUT);
      List<Part> parts = prepare(libraries, tokenizer);

      say("[3/5] training");
      NeoxConfig config = config(parts, vocabulary);
      Path model = out.resolve("model");
      Outcome outcome = train(config, tokenizer, vocabulary, model);
      if (outcome.exitCode != 0) {
        return outcome.exitCode;
      }

      say("[4/5] loss curve: %s", draw(outcome));
      say(
          "      validation loss %.3f nats a token; a unigram model has %.3f",
          outcome.finalValidation(), outcome.unigram);

      say("[5/5] the model continues a prompt:");
      write(model);
      say("");
      say("Done in %s. What now:", StepLines.clock((System.nanoTime() - start) / 1e9));
      say(
          "  %s generate --model %s --prompt 'public static int ' --temperature 0.7"
              + " --max-tokens 120",
          Launcher.command(), Shell.quoted(model));
      say(
          "  %s serve --model %s   # a chat page and OpenAI's API",
          Launcher.command(), Shell.quoted(model));
      say(
          "  %s score --model %s --text 'for (int i = 0; i < n; i++) {' --json",
          Launcher.command(), Shell.quoted(model));
      say(
          "  %s train %s --set train_iters=%d --set %s   # train on",
          Launcher.command(),
          Shell.quoted(out.resolve("demo.yml")),
          4 * steps(),
          Shell.quoted("load=" + out.resolve("run")));
      return 0;
    }
  }

  private PrintWriter console() {
    return spec.commandLine().getOut();
  }

  private void say(String format, Object... args) {
    PrintWriter console = console();
    console.println(String.format(Locale.ROOT, format, args));
    console.flush();
  }

  private int steps() {
    boolean carried = Products.carrier(Dtype.BF16) != Dtype.BF16;
    return (int)
        Math.max(
            10, Math.round((carried ? CARRIED_STEPS_A_MINUTE : STEPS_A_MINUTE) * (minutes - 0.4)));
  }

  /** Returns the jars of {@code --corpus}, else those that the build put beside JNeoX's jar. */
  private List<Path> libraries() {
    Path folder = corpus;
    if (folder == null) {
      try {
        Path jar =
            Path.of(DemoCommand.class.getProtectionDomain().getCodeSource().getLocation().toURI());
        folder = jar.resolveSibling("corpus");
      } catch (URISyntaxException e) {
        throw new IllegalStateException(e);
      }
    }
    try (Stream<Path> files = Files.list(folder)) {
      List<Path> found =
          files
              .filter(
                  f -> f.getFileName().toString().matches(".+\\.(jar|zip|jsonl|jsonl\\.zst|txt)"))
              .sorted()
              .toList();
      if (!found.isEmpty()) {
        return found;
      }
    } catch (IOException e) {
      throw new StorageException(
          folder,
          "no corpus",
          AtomicFile.reason(e) + "; build first (./jneox does), or name one with --corpus",
          e);
    }
    throw new InputException(
        folder + ": expected .jar, .zip, .jsonl, .jsonl.zst or .txt files, found none");
  }

  private void trainTokenizer(List<Path> libraries, Path vocabulary) {
    TrainedBpe trained = TextPipeline.vocabulary(libraries, VOCABULARY, vocabulary);
    say(
        "      %,.1f MB of text, %.2f bytes a token: %s",
        trained.bytes() / 1e6, (double) trained.bytes() / trained.tokens(), vocabulary);
  }

  /** Holds the prepared data of a library. */
  private record Part(HoldOut split, double weight) {}

  private List<Part> prepare(List<Path> libraries, Tokenizer tokenizer) {
    List<Part> parts = new ArrayList<>();
    for (Path library : libraries) {
      String name =
          library
              .getFileName()
              .toString()
              .replaceAll("(-\\d[^/]*)?\\.(jar|zip|jsonl|jsonl\\.zst|txt)$", "");
      Path all = out.resolve("data").resolve(name);
      Prepare.Result result = TextPipeline.data(library, tokenizer, all, name);
      double weight = WEIGHTS.getOrDefault(name, 1.0);
      Optional<HoldOut> split = HoldOut.of(all, HOLD_OUT, tokenizer.vocabSize());
      if (split.isPresent()) {
        parts.add(new Part(split.get(), weight));
        say(
            "      %-22s %,6d documents %,10d tokens, weight %.0f",
            name, result.documents(), result.tokens(), weight);
      }
    }
    if (parts.isEmpty()) {
      throw new InputException(
          "the corpus has no component of "
              + HOLD_OUT
              + " documents or more: too little to hold one out");
    }
    return parts;
  }

  /** Writes the configuration for this corpus and length to {@code demo.yml}, and reads it. */
  private NeoxConfig config(List<Part> parts, Path vocabulary) {
    Path recipe = out.resolve("demo.yml");
    String weights = parts.stream().map(p -> Double.toString(p.weight)).toList().toString();
    StringBuilder text = new StringBuilder();
    try (InputStream shipped = DemoCommand.class.getResourceAsStream("/configs/demo.yml")) {
      text.append(new String(shipped.readAllBytes(), StandardCharsets.UTF_8));
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
    Map<String, Object> set = new LinkedHashMap<>();
    set.put("train_iters", steps());
    set.put("seed", seed);
    set.put("vocab_file", TextPipeline.quoted(vocabulary));
    set.put(
        "train_data_paths",
        parts.stream().map(p -> TextPipeline.quoted(p.split.training())).toList());
    set.put("train_data_weights", weights);
    set.put(
        "valid_data_paths",
        parts.stream().map(p -> TextPipeline.quoted(p.split.validation())).toList());
    set.put("valid_data_weights", weights);
    set.put(
        "test_data_paths",
        parts.stream().map(p -> TextPipeline.quoted(p.split.validation())).toList());
    set.put("test_data_weights", weights);
    set.put("save", TextPipeline.quoted(out.resolve("run")));
    String body =
        text.toString().replaceAll("(?m)^(" + String.join("|", set.keySet()) + "):.*\\R", "");
    StringBuilder whole = new StringBuilder(body).append("\n# What the demo set\n");
    set.forEach((key, value) -> whole.append(key).append(": ").append(value).append('\n'));
    AtomicFile.write(recipe, whole.toString().getBytes(StandardCharsets.UTF_8));
    return NeoxConfig.load(List.of(recipe), List.of());
  }

  /**
   * Holds the results of the training.
   *
   * @param exitCode 0; after a signal the signal's, and the other values are unfinished
   * @param title of the picture
   * @param curve losses of the run
   * @param unigram loss of the unigram model on the held-out texts, in nats per token
   */
  private record Outcome(int exitCode, String title, LossCurve curve, double unigram) {
    double finalValidation() {
      return curve.validation().getLast().loss();
    }
  }

  private Outcome train(NeoxConfig config, Tokenizer tokenizer, Path vocabulary, Path model) {
    try (RunDirectory directory = RunDirectory.open(config.checkpoint(), Resume.RESTART);
        TrainingData data = TrainingData.open(config, Progress.silent());
        Trainer trainer =
            new Trainer(
                config,
                tokenizer.vocabSize(),
                tokenizer.id(BpeTrainer.END_OF_TEXT).orElse(-1),
                vocabulary,
                data,
                directory)) {
      TrainCommand.describe(console(), config, trainer, directory);
      double gemmRate = TrainCommand.gemmRate(config, trainer.device());
      TrainCommand.forecast(console(), config, trainer, gemmRate);
      StepLines lines =
          new StepLines(console(), config.run().logInterval(), trainer.iterations(), gemmRate) {
            @Override
            public void afterEvaluation(String name, int iteration, double loss) {
              if (name.equals("validation")) { // the test data are the same documents here
                super.afterEvaluation(name, iteration, loss);
              }
            }
          };
      LossCurve.Recorder losses =
          new LossCurve.Recorder((long) config.batch().total() * config.model().seqLength());
      String goOn =
          Launcher.command()
              + " train "
              + Shell.quoted(out.resolve("demo.yml")).replace("%", "%%")
              + " --set load=%s goes on from there; a second demo starts over, with --force";
      int exitCode =
          TrainCommand.train(config, trainer, spec.commandLine().getErr(), goOn, lines, losses);
      if (exitCode != 0) {
        return new Outcome(exitCode, "", losses.curve(), Double.NaN);
      }
      trainer.writeModel(model);
      writeCard(trainer.model(), config.checkpoint().save().orElseThrow(), model);
      say("      HF folder: %s", model);
      String title =
          "GPT-NeoX, %.1f M parameters, on Java sources"
              .formatted(trainer.model().parameterCount() / 1e6);
      long trained = (long) data.trainIters() * config.batch().total();
      long validated = (long) config.run().evalIters() * config.batch().total();
      double unigram =
          new UnigramCounts(trainer.model().vocabulary().used())
              .add(data.train(), trained)
              .loss(data.valid().orElseThrow(), validated);
      return new Outcome(exitCode, title, losses.curve(), unigram);
    }
  }

  private void writeCard(ModelSpec spec, Path run, Path model) {
    ModelCard.Facts facts =
        ModelCard.Facts.of(out.toAbsolutePath().normalize().getFileName().toString())
            .withTraining(TrainingFacts.read(run).orElse(null))
            .withData(
                corpus == null ? "Sources of Java libraries under the Apache License 2.0." : null)
            .withLanguages(corpus == null ? List.of("code") : List.of());
    AtomicFile.write(
        model.resolve("README.md"), ModelCard.text(spec, facts).getBytes(StandardCharsets.UTF_8));
  }

  private Path draw(Outcome outcome) {
    Path png = out.resolve("loss.png");
    new LossPlot(outcome.title, outcome.curve, OptionalDouble.of(outcome.unigram)).write(png);
    return png;
  }

  private void write(Path folder) {
    try (LanguageModel model = LanguageModel.open(folder, Precision.STORED)) {
      PrintWriter console = console();
      console.print(PROMPT);
      int[] prompt = model.tokenizer().encode(PROMPT);
      GenerationRequest request =
          GenerationRequest.builder(prompt).maxTokens(160).sampler(Samples.sampler(seed)).build();
      model
          .generator()
          .generate(
              request,
              (id, text) -> {
                console.print(text);
                console.flush();
                return true;
              });
      console.println();
    }
  }
}
