package dev.jneox.cli.train;

import dev.jneox.infer.Engine;
import dev.jneox.infer.GenerationRequest;
import dev.jneox.infer.Generator;
import dev.jneox.infer.PackedModel;
import dev.jneox.infer.Precision;
import dev.jneox.infer.Sampler;
import dev.jneox.io.JneoxException;
import dev.jneox.io.StorageException;
import dev.jneox.io.VisibleText;
import dev.jneox.tokenizer.Tokenizer;
import dev.jneox.train.Trainer;
import dev.jneox.train.TrainingCallback;
import dev.jneox.weights.ModelWeights;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Continues texts with the model that is being trained, after each validation, or at the end where
 * there is none. The results are printed and appended to a file. They depend on the weights and the
 * seed alone. Of several processes each has the callback, and the first one writes.
 */
final class Samples implements TrainingCallback {
  private static final int TOKENS = 60;
  private static final int MOST_NAMED = 28; // characters of a prompt

  private final PrintWriter out;
  private final Tokenizer tokenizer;
  private final List<String> prompts;
  private final Optional<Path> file;
  private final Sampler sampler;
  private @Nullable Trainer trainer;
  private boolean written;

  /**
   * Makes the callback.
   *
   * @param tokenizer of the run
   * @param prompts to continue
   * @param file that the texts are appended to
   */
  Samples(
      PrintWriter out, Tokenizer tokenizer, List<String> prompts, Optional<Path> file, int seed) {
    this.out = out;
    this.tokenizer = tokenizer;
    this.prompts = prompts;
    this.file = file;
    this.sampler = sampler(seed);
  }

  /** Returns the sampler for texts of a model that is being trained. */
  static Sampler sampler(int seed) {
    return Sampler.GREEDY
        .withTemperature(0.7)
        .withTopK(40)
        .withTopP(0.95)
        .withRepetitionPenalty(1.1)
        .withSeed(seed);
  }

  @Override
  public void atStart(Trainer trainer) {
    this.trainer = trainer;
  }

  @Override
  public void afterEvaluation(String name, int iteration, double loss) {
    if (name.equals("validation")) {
      write(iteration, String.format(Locale.ROOT, ", validation loss %.4f", loss));
    }
  }

  @Override
  public void afterSave(Path checkpoint, int iteration) {
    if (!written && iteration == trainer().iterations()) {
      write(iteration, "");
    }
  }

  private Trainer trainer() {
    return Objects.requireNonNull(trainer); // since atStart
  }

  private void write(int iteration, String loss) {
    written = true;
    if (prompts.isEmpty()) {
      return;
    }
    try {
      trainer()
          .readWeights(
              weights -> {
                String texts = continuations(weights, "step " + iteration + loss);
                out.print(texts);
                file.ifPresent(path -> append(path, texts));
              });
    } catch (JneoxException e) {
      out.println("no sample after step " + iteration + ": " + e.getMessage());
    }
    out.flush();
  }

  private String continuations(ModelWeights weights, String step) {
    StringBuilder texts = new StringBuilder();
    try (PackedModel packed = PackedModel.of(weights, Precision.STORED);
        Engine engine = new Engine(packed, Engine.Settings.of(packed, 1))) {
      Generator generator = new Generator(engine, tokenizer);
      for (String prompt : prompts) {
        texts.append(step).append(", continues ");
        texts.append('"').append(begin(VisibleText.line(prompt))).append("\":\n");
        String text = prompt + continuation(generator, prompt);
        VisibleText.lines(text).lines().forEach(l -> texts.append("  ").append(l).append('\n'));
      }
    }
    return texts.toString();
  }

  /** The first characters of a prompt, so that the line which names it fits a screen. */
  private static String begin(String prompt) {
    int characters = prompt.codePointCount(0, prompt.length());
    return characters <= MOST_NAMED
        ? prompt
        : prompt.substring(0, prompt.offsetByCodePoints(0, MOST_NAMED - 3)) + "...";
  }

  private String continuation(Generator generator, String prompt) {
    int[] ids = tokenizer.encode(prompt);
    int positions = trainer().model().maxPositions();
    int tokens = Math.min(TOKENS, positions / 2);
    int most = Math.max(1, positions - tokens);
    int[] read = ids.length > most ? Arrays.copyOfRange(ids, ids.length - most, ids.length) : ids;
    GenerationRequest request =
        GenerationRequest.builder(read).maxTokens(tokens).sampler(sampler).build();
    // Null without a tokenizer, and this generator has one.
    return Objects.requireNonNull(generator.generate(request, Generator.Listener.NONE).text());
  }

  private static void append(Path file, CharSequence texts) {
    try {
      Files.writeString(file, texts, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
    } catch (IOException e) {
      throw StorageException.of(file, "cannot be written", e);
    }
  }
}
