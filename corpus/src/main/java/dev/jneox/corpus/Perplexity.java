package dev.jneox.corpus;

import dev.jneox.Jneox;
import dev.jneox.io.InputException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/**
 * Removes documents that a language model finds too unlikely or too likely. The perplexity is that
 * of the tokens from the second one on of a document's beginning; a document of one token stays. A
 * model's scores depend neither on the machine's kernels nor on what else runs.
 *
 * @param model the folder or file of a model, where every machine finds it
 * @param min perplexity of a document that stays
 * @param max perplexity of a document that stays
 * @param characters of a document that are read, from its beginning
 */
record Perplexity(String model, double min, double max, int characters) implements TextStep {
  private static final ConcurrentHashMap<String, Jneox> MODELS = new ConcurrentHashMap<>();

  static Step of(Settings options) {
    String model =
        options
            .text("model")
            .orElseThrow(() -> options.wrong("model", "the folder or file of a model", null));
    double min = options.number("min", 0, 0, Double.MAX_VALUE);
    double max = options.number("max", Double.MAX_VALUE, 0, Double.MAX_VALUE);
    if (min == 0 && max == Double.MAX_VALUE) {
      throw options.wrong("max", "a bound, max or min", null);
    }
    if (max < min) {
      throw options.wrong("max", "a number of min or more", max);
    }
    return new Perplexity(
        Settings.resolved(options.folder(), model),
        min,
        max,
        options.integer("characters", 1000, 20, 1_000_000));
  }

  @Override
  public String name() {
    return "perplexity";
  }

  @Override
  public String describe() {
    return String.format(
        Locale.ROOT,
        "keeps documents whose first %d characters have a perplexity %s by the model %s",
        characters,
        max == Double.MAX_VALUE
            ? "of " + min + " and more"
            : min == 0 ? "of " + max + " at most" : "of " + min + " to " + max,
        model);
  }

  @Override
  public void prepare() {
    if (!Files.exists(Path.of(model))) {
      throw new InputException(model + ": no such model; name the folder or file of one");
    }
    of("a text that any tokenizer divides"); // a model that cannot score ends the build here
  }

  /** Returns the perplexity of a document; NaN where it has one token. */
  double of(String text) {
    int end = Math.min(text.length(), characters);
    if (end > 0 && end < text.length() && Character.isHighSurrogate(text.charAt(end - 1))) {
      end--;
    }
    if (end == 0) {
      return Double.NaN;
    }
    Jneox open = MODELS.computeIfAbsent(model, name -> Jneox.open(Path.of(name)));
    var score = open.score(text.substring(0, end));
    return score.tokens().isEmpty()
        ? Double.NaN
        : StrictMath.exp(-score.logProb() / score.tokens().size());
  }

  @Override
  public @Nullable String apply(Page page) {
    double perplexity = of(page.text());
    return perplexity > max
        ? "perplexity too high"
        : perplexity < min ? "perplexity too low" : null;
  }
}
