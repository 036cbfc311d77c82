package dev.jneox.cli.train;

import dev.jneox.cli.Launcher;
import dev.jneox.cli.ProgressLine;
import dev.jneox.data.Documents;
import dev.jneox.data.Prepare;
import dev.jneox.data.TextSplit;
import dev.jneox.io.AtomicFile;
import dev.jneox.io.ByteSize;
import dev.jneox.io.Counted;
import dev.jneox.io.InputException;
import dev.jneox.io.JneoxException;
import dev.jneox.io.Overwrite;
import dev.jneox.io.Progress;
import dev.jneox.io.Shell;
import dev.jneox.io.StorageException;
import dev.jneox.model.ModelSpec;
import dev.jneox.tokenizer.Tokenizer;
import dev.jneox.tokenizer.TrainedBpe;
import dev.jneox.train.Forecast;
import dev.jneox.train.NeoxConfig;
import java.io.IOException;
import java.io.PrintWriter;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * Makes all that a training run needs from texts alone, in one folder: {@code tokenizer.json},
 * {@code data/} with the held-out texts, and the configuration {@code train.yml}, written last. The
 * run itself is in {@code run/}.
 *
 * @param folder that has all of these
 */
record TextRun(Path folder) {
  private static final int SEQUENCE = 256;
  private static final int BATCH = 16;

  /** Most passes over the text; after about four, a further one lowers the loss less. */
  private static final int PASSES = 10;

  private static final int FEWEST_STEPS = 50;
  private static final int PROMPT = 60; // characters

  /** Ends the recipe while what it names is being made. */
  private static final String UNFINISHED = "# Not finished: the same command makes it anew.\n";

  /** Share of the time that training takes; validation, saves and samples take the rest. */
  private static final double SHARE = 0.85;

  /** Names a size of model that one machine trains in minutes or hours. */
  enum Size {
    TINY(4, 128, 4, 2e-3),
    SMALL(6, 256, 8, 2e-3),
    MEDIUM(8, 384, 12, 1e-3),
    LARGE(12, 512, 16, 1e-3),
    BASE(12, 768, 12, 6e-4);

    private final int layers;
    private final int width;
    private final int heads;
    private final double rate;

    Size(int layers, int width, int heads, double rate) {
      this.layers = layers;
      this.width = width;
      this.heads = heads;
      this.rate = rate;
    }

    /** Returns its name on the command line. */
    String label() {
      return name().toLowerCase(Locale.ROOT);
    }

    /** Finds a size by its name on the command line. */
    static Optional<Size> named(String label) {
      return Stream.of(values()).filter(size -> size.name().equalsIgnoreCase(label)).findFirst();
    }

    /** Parameters of the layers. */
    private long parameters() {
      return 12L * layers * width * width;
    }

    /** Seconds of a step on a machine whose matrix products run at {@code gemmRate} FLOP/s. */
    private double secondsPerStep(int vocabulary, double gemmRate) {
      ModelSpec model = ModelSpec.neox(vocabulary, width, layers, heads, SEQUENCE);
      return Forecast.seconds(model.trainingFlops((long) BATCH * SEQUENCE, SEQUENCE), gemmRate);
    }

    private long steps(double seconds, long tokens, int vocabulary, double gemmRate) {
      long all = Math.round(SHARE * seconds / secondsPerStep(vocabulary, gemmRate));
      return Math.max(FEWEST_STEPS, Math.min(all, PASSES * tokens / (BATCH * SEQUENCE)));
    }

    /**
     * Chooses the largest size that reads two tokens or more for each parameter of its layers. The
     * compute-optimal number is about twenty (Hoffmann et al. 2022). In a run of minutes on a few
     * cores a larger model with fewer still reaches a lower loss.
     */
    static Size of(double seconds, long tokens, int vocabulary, double gemmRate) {
      Size best = TINY;
      for (Size size : values()) {
        long read = size.steps(seconds, tokens, vocabulary, gemmRate) * BATCH * SEQUENCE;
        best = read >= 2 * size.parameters() ? size : best;
      }
      return best;
    }
  }

  /** The recipe, which {@code jneox train} takes too. */
  Path recipe() {
    return folder.resolve("train.yml");
  }

  /** The folder of checkpoints. */
  Path run() {
    return folder.resolve("run");
  }

  private Path data(String name) {
    return folder.resolve("data").resolve(name);
  }

  /**
   * Tells whether an earlier call made it all.
   *
   * @param seconds that were asked for now; empty for those of the earlier call
   * @param size that was asked for now, likewise
   * @throws InputException when it did so of other texts, for another time or in another size
   */
  boolean isMade(List<Path> texts, Optional<Double> seconds, Optional<Size> size) {
    try {
      if (!Files.exists(recipe())) {
        return false;
      }
      String written = Files.readString(recipe());
      if (written.endsWith(UNFINISHED)) {
        return false;
      }
      String first = written.lines().findFirst().orElse("");
      if (!first.equals(origin(texts))) {
        throw InputException.in(
            recipe(),
            "line 1",
            origin(texts),
            first + ": name another folder with --out to train on other texts");
      }
      Made made = made();
      made.seconds.ifPresent(was -> refuse("--time", seconds, was, TextRun::time));
      made.size.ifPresent(was -> refuse("--size", size, was, Size::label));
      return true;
    } catch (IOException e) {
      throw StorageException.of(recipe(), "cannot be read", e);
    }
  }

  /**
   * What an earlier call was asked to make, as the second line of its recipe says; all empty where
   * there is no such line.
   *
   * @param bytes of the texts
   */
  private record Made(Optional<Double> seconds, Optional<Size> size, Optional<Long> bytes) {
    private static final Pattern LINE =
        Pattern.compile(
            "# With --time (\\d+(?:\\.\\d+)?)s --size ([a-z]+), of (\\d{1,18}) bytes.*");

    static Made of(String line) {
      Matcher matcher = LINE.matcher(line);
      return matcher.matches()
          ? new Made(
              Optional.of(Double.valueOf(matcher.group(1))),
              Size.named(matcher.group(2)),
              Optional.of(Long.valueOf(matcher.group(3))))
          : new Made(Optional.empty(), Optional.empty(), Optional.empty());
    }
  }

  private Made made() throws IOException {
    return Made.of(Files.readString(recipe()).lines().skip(1).findFirst().orElse(""));
  }

  private <T> void refuse(
      String option, Optional<T> asked, T was, Function<? super T, String> written) {
    if (asked.isPresent() && !asked.get().equals(was)) {
      throw InputException.in(
          recipe(),
          "line 2",
          option + " " + written.apply(asked.get()),
          written.apply(was)
              + ": leave "
              + option
              + " out to go on, lengthen the run with --set train_iters=N, or name another folder"
              + " with --out");
    }
  }

  private static String time(double seconds) {
    return seconds == Math.rint(seconds)
        ? (long) seconds + "s"
        : BigDecimal.valueOf(seconds).toPlainString() + "s";
  }

  /**
   * Says that the texts are not those that the data was made of; empty where they are of as many
   * bytes, or cannot be read any more.
   */
  Optional<String> changed(List<Path> texts) {
    long now;
    try (Documents documents = Documents.open(texts, true, _ -> {})) {
      now = documents.totalBytes();
    } catch (InputException | StorageException e) {
      return Optional.empty(); // the data is there, and the run needs nothing else
    }
    try {
      return made()
          .bytes
          .filter(was -> was != now)
          .map(
              was ->
                  String.format(
                      Locale.ROOT,
                      "the text had %,d bytes when its data was made and has %,d now: the run goes"
                          + " on with that data; name another folder with --out to train on all of"
                          + " it",
                      was,
                      now));
    } catch (IOException e) {
      throw StorageException.of(recipe(), "cannot be read", e);
    }
  }

  /**
   * Checks, before anything is written, that the folder is free for these texts and that the
   * settings fit a recipe.
   *
   * @param sets as {@code --set} gives them
   * @throws InputException when they do not, when the folder has files of something else, or when
   *     it lies in a folder of texts and would be read as a text itself
   */
  void check(List<Path> texts, List<String> sets) {
    if (!Files.exists(recipe())) {
      for (Path kept : List.of(folder.resolve("tokenizer.json"), folder.resolve("data"), run())) {
        if (Overwrite.isTaken(kept)) {
          throw new InputException(
              kept
                  + ": exists already, and is not of a run that this command began: name another"
                  + " folder with --out");
        }
      }
    }
    Path real = real(folder);
    for (Path text : texts) {
      Path read = real(text);
      if (real.startsWith(read) || read.startsWith(real.resolve("data"))) {
        throw InputException.in(
            text,
            "--out",
            "a folder apart from the texts, which it would be read with",
            folder + ": name another folder with --out");
      }
    }
    NeoxConfig.of(Map.of(recipe(), recipe(Size.TINY, FEWEST_STEPS, 0)), sets, 1);
  }

  /** Resolves links in as much of a path as exists. */
  private static Path real(Path path) {
    Path absolute = path.toAbsolutePath();
    Path parent = absolute.getParent();
    try {
      return parent == null || Files.exists(absolute)
          ? absolute.toRealPath()
          : real(parent).resolve(absolute.getFileName()).normalize();
    } catch (IOException e) {
      throw StorageException.of(path, "cannot be read", e);
    }
  }

  private static String origin(List<Path> texts) {
    return "# Made by jneox train --text "
        + String.join(" --text ", texts.stream().map(TextPipeline::quoted).toList());
  }

  /**
   * Learns a vocabulary, tokenises, chooses a model and its length, and writes the recipe.
   *
   * @param seconds that the training may take
   * @param wanted size of the model; empty chooses one
   * @param skipBad whether documents that cannot be read are left out
   * @param gemmRate FLOP/s of the machine
   */
  void make(
      PrintWriter out,
      List<Path> texts,
      double seconds,
      Optional<Size> wanted,
      boolean skipBad,
      double gemmRate) {
    // From here on the folder is known as one of this command, also after it was killed.
    AtomicFile.write(
        recipe(), (origin(texts) + "\n" + UNFINISHED).getBytes(StandardCharsets.UTF_8));
    TextSplit split;
    long bytes;
    try (Progress progress = ProgressLine.bytes("reading", -1)) {
      split = TextSplit.of(texts, folder.resolve("data"), skipBad, progress);
      bytes = progress.total();
    } catch (JneoxException e) {
      if (!Files.exists(folder.resolve("data"))) {
        delete(recipe());
      }
      throw e;
    }
    Path vocabulary = folder.resolve("tokenizer.json");
    TrainedBpe trained =
        TextPipeline.vocabulary(
            List.of(split.training()), vocabularySize(split.characters()), vocabulary);
    Prepare.Result training;
    Prepare.Result validation;
    int tokens;
    try (Tokenizer tokenizer = Tokenizer.load(vocabulary)) {
      tokens = tokenizer.vocabSize();
      training = TextPipeline.data(split.training(), tokenizer, data("train"), "tokenising");
      validation = TextPipeline.data(split.validation(), tokenizer, data("valid"), "validation");
      TextPipeline.data(split.test(), tokenizer, data("test"), "test");
    }
    delete(split.training()); // its tokens are kept; the held-out texts stay, for people to read
    Size size = wanted.orElseGet(() -> Size.of(seconds, training.tokens(), tokens, gemmRate));
    long steps = size.steps(seconds, training.tokens(), tokens, gemmRate);
    out.printf(
        Locale.ROOT,
        "text: %s, %s to train on; vocabulary %,d, %.1f bytes a token%n",
        Counted.text(split.documents(), "document"),
        ByteSize.text(trained.bytes()),
        tokens,
        (double) trained.bytes() / trained.tokens());
    split.skipped().leftOut(split.empty()).ifPresent(out::println);
    out.printf(
        Locale.ROOT,
        "model: %s, for %,d tokens in %s of an idle machine: %,d steps, each token %.1f times%n",
        size.label(),
        training.tokens(),
        StepLines.clock(seconds),
        steps,
        (double) steps * BATCH * SEQUENCE / training.tokens());
    out.println("recipe: " + recipe());
    out.flush();
    String asked =
        "# With --time %s --size %s, of %d bytes of text"
            .formatted(time(seconds), size.label(), bytes);
    String text = origin(texts) + "\n" + asked + "\n" + recipe(size, steps, validation.tokens());
    AtomicFile.write(recipe(), text.getBytes(StandardCharsets.UTF_8));
  }

  private static int vocabularySize(long characters) {
    return characters >= 5_000_000
        ? 8192
        : characters >= 500_000 ? 4096 : characters >= 50_000 ? 1024 : 512;
  }

  private static void delete(Path file) {
    try {
      Files.delete(file);
    } catch (IOException e) {
      throw StorageException.of(file, "cannot be removed", e);
    }
  }

  private String recipe(Size size, long steps, long validTokens) {
    long interval = Math.max(10, steps / 10);
    // Two batches at least: the samples of a data set are one fewer than it is asked for.
    long evalIters = Math.clamp(validTokens / SEQUENCE / BATCH, 2, 10);
    return """
    # The same command goes on from the newest checkpoint; so does jneox train with this file.

    # The model
    num_layers: %d
    hidden_size: %d
    num_attention_heads: %d
    seq_length: %d
    max_position_embeddings: %d
    pos_emb: rotary
    rotary_pct: 0.25
    gpt_j_residual: true
    no_weight_tying: true
    make_vocab_size_divisible_by: 64
    init_method: small_init
    output_layer_init_method: wang_init

    # The optimizer
    optimizer:
      type: Adam
      params: {lr: %s, betas: [0.9, 0.95], eps: 1.0e-8}
    weight_decay: 0.1
    gradient_clipping: 1.0
    lr_decay_style: cosine
    min_lr: %s
    warmup: 0.05
    train_iters: %d
    train_micro_batch_size_per_gpu: %d
    precision: bfloat16

    # The data; what is held out is beside it as text
    tokenizer_type: HFTokenizer
    vocab_file: %s
    train_data_paths: [%s]
    valid_data_paths: [%s]
    test_data_paths: [%s]
    seed: 1234

    # What the run tells and keeps
    eval_interval: %d
    eval_iters: %d
    log_interval: %d
    save: %s
    load: %s
    checkpoint_factor: %d
    keep_last_n_checkpoints: 2
    """
        .formatted(
            size.layers,
            size.width,
            size.heads,
            SEQUENCE,
            SEQUENCE,
            yaml(size.rate),
            yaml(size.rate / 10),
            steps,
            BATCH,
            TextPipeline.quoted(folder.resolve("tokenizer.json")),
            TextPipeline.quoted(data("train")),
            TextPipeline.quoted(data("valid")),
            TextPipeline.quoted(data("test")),
            interval,
            evalIters,
            Math.clamp(steps / 25, 1, 50),
            TextPipeline.quoted(run()),
            TextPipeline.quoted(run()),
            interval);
  }

  private static String yaml(double value) {
    return String.format(Locale.ROOT, "%.1e", value);
  }

  /** The first words of the held-out texts, for the model to continue. */
  String prompt() {
    try (Documents documents = Documents.open(List.of(data("valid.jsonl")), false, _ -> {})) {
      for (Iterator<String> texts = documents.texts(); texts.hasNext(); ) {
        String text = texts.next().strip();
        if (!text.isEmpty()) {
          int end =
              text.offsetByCodePoints(0, Math.min(PROMPT, text.codePointCount(0, text.length())));
          int space = text.lastIndexOf(' ', end);
          return text.substring(0, end < text.length() && space > 0 ? space : end);
        }
      }
    }
    return "";
  }

  /**
   * Says what there is now and what to do with it.
   *
   * @param save folder of checkpoints, where the run kept any
   */
  void summary(PrintWriter out, Optional<Path> save, double seconds) {
    out.printf("%nDone in %s; all is in %s.", StepLines.clock(seconds), folder);
    if (save.isEmpty()) {
      out.println(" The model was not kept: save is not set");
      out.flush();
      return;
    }
    String command = "  " + Launcher.command();
    String model = Shell.quoted(save.get());
    out.println(" What now:");
    out.println(command + " complete --model " + model);
    out.println(command + " eval --model " + model + " --data " + Shell.quoted(data("test")));
    out.printf(
        "%s convert --from %s --to %s \\%n    --format gguf --dtype q8_0%n",
        command, model, Shell.quoted(folder.resolve("model.gguf")));
    out.println("texts during training: " + save.get().resolve("samples.txt"));
    out.println("picture of the loss: " + save.get().resolve("loss.png"));
    out.flush();
  }
}
