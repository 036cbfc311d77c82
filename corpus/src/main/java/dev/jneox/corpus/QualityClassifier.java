package dev.jneox.corpus;

import dev.jneox.data.Xxh64;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * Keeps documents that are like those of one source, as GPT-3 and the Pile did: a logistic
 * regression over hashed words and pairs of words is trained on a sample of that source and one of
 * the others, and a document stays where a draw of the Pareto distribution is above {@code 1 -
 * score} ({@code numpy.random.pareto(alpha) > 1 - score}). The draw follows from the text.
 * Documents of the source itself stay.
 *
 * @param positive name of the source of good documents
 * @param alpha of the distribution: a document of score 0 stays with the probability {@code
 *     2^-alpha}
 * @param sample documents of each side that are trained on, at most, those with the smallest hashes
 * @param characters of a document that are read, from its beginning
 * @param epochs of training
 * @param seed of the sample and of the draws
 */
record QualityClassifier(
    String positive, double alpha, int sample, int characters, int epochs, long seed)
    implements Step {
  private static final int BITS = 18;

  /** One document of so many is left out of training, to measure. */
  private static final int MEASURED = 10;

  static Step of(Settings options) {
    return new QualityClassifier(
        options
            .text("positive")
            .orElseThrow(() -> options.wrong("positive", "the name of a source", null)),
        options.number("alpha", 9, 0, 1000),
        options.integer("sample", 5000, 10, 1_000_000),
        options.integer("characters", 4000, 20, 1_000_000),
        options.integer("epochs", 5, 1, 1000),
        options.integer("seed", 1, 0, Integer.MAX_VALUE));
  }

  @Override
  public String name() {
    return "quality_classifier";
  }

  @Override
  public String describe() {
    return String.format(
        Locale.ROOT,
        "keeps documents like those of %s, where a draw of Pareto's distribution (alpha %s) is"
            + " above 1 - score",
        positive,
        alpha);
  }

  /**
   * Is a classifier that has learned.
   *
   * @param settings of the step
   * @param weights of the hashed words and pairs; the last one is the bias
   * @param accuracy on the documents that were left out, 0 to 1; NaN where there were none
   */
  record Trained(QualityClassifier settings, float[] weights, double accuracy) implements TextStep {
    @Override
    public String name() {
      return settings.name();
    }

    @Override
    public String describe() {
      return settings.describe();
    }

    /** Returns how likely a text is of the good source, 0 to 1. */
    double score(String text) {
      return sigmoid(product(weights, features(settings.begin(text))));
    }

    @Override
    public @Nullable String apply(Page page) {
      byte[] text = page.text().getBytes(StandardCharsets.UTF_8);
      long hash = Rows.mix(Rows.mix(settings.seed) + Xxh64.of(text, 0, text.length));
      return settings.keeps(score(page.text()), (hash >>> 11) * 0x1p-53) ? null : "low quality";
    }
  }

  /**
   * Returns whether a document stays: the draw {@code u^(-1/alpha) - 1}, which has the Pareto
   * distribution where {@code u} is uniform in [0, 1), is above {@code 1 - score}.
   */
  boolean keeps(double score, double u) {
    return u < StrictMath.pow(2 - score, -alpha);
  }

  private String begin(String text) {
    return text.length() <= characters ? text : text.substring(0, characters);
  }

  /**
   * Trains on texts whose order is that of a hash. Sums are taken in a fixed order and without the
   * machine's own functions, so that the weights are the same anywhere.
   */
  Trained train(List<String> good, List<String> others) {
    List<Features> learned = new ArrayList<>();
    List<Features> measured = new ArrayList<>();
    List<Boolean> areGood = new ArrayList<>();
    int n = Math.min(good.size(), others.size());
    for (int i = 0; i < 2 * n; i++) { // in turn, as many of each
      boolean isGood = i % 2 == 0;
      Features features = features(begin((isGood ? good : others).get(i / 2)));
      if (i / 2 % MEASURED == MEASURED - 1) {
        measured.add(features);
      } else {
        learned.add(features);
        areGood.add(isGood);
      }
    }
    float[] weights = new float[(1 << BITS) + 1];
    int steps = epochs * learned.size();
    for (int step = 0; step < steps; step++) {
      Features features = learned.get(step % learned.size());
      double wanted = areGood.get(step % learned.size()) ? 1 : 0;
      double error = wanted - sigmoid(product(weights, features));
      double rate = 4 * error * (1 - (double) step / steps);
      for (int k = 0; k < features.at.length; k++) {
        weights[features.at[k]] += (float) (rate * features.value);
      }
      weights[1 << BITS] += (float) (0.1 * rate);
    }
    int right = 0;
    for (int i = 0; i < measured.size(); i++) {
      right += product(weights, measured.get(i)) > 0 == (i % 2 == 0) ? 1 : 0;
    }
    return new Trained(this, weights, (double) right / measured.size());
  }

  /** Is where a text's different words and pairs are, each of the same value: a unit vector. */
  private record Features(int[] at, double value) {}

  private static Features features(String text) {
    java.util.BitSet set = new java.util.BitSet();
    for (int ngram = 1; ngram <= 2; ngram++) {
      Shingles shingles = new Shingles(ngram);
      int n = shingles.read(text);
      for (int i = 0; i < n; i++) {
        set.set((int) (Rows.mix(shingles.hashes()[i] + ngram) >>> 64 - BITS));
      }
    }
    int[] at = set.stream().toArray();
    return new Features(at, 1 / StrictMath.sqrt(Math.max(1, at.length)));
  }

  private static double product(float[] weights, Features features) {
    double sum = 0;
    for (int at : features.at) {
      sum += weights[at];
    }
    return sum * features.value + weights[1 << BITS];
  }

  private static double sigmoid(double x) {
    return 1 / (1 + StrictMath.exp(-x));
  }
}
