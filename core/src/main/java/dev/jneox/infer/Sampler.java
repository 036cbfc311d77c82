package dev.jneox.infer;

import dev.jneox.io.InputException;
import java.util.BitSet;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;

/**
 * Draws the next token from the model's logits. The steps, in their order: the logits of ids
 * already in the sequence are pushed down (CTRL, Keskar et al. 2019); those of ids drawn before are
 * lowered by the presence and frequency penalties, and biases are added, as OpenAI's API defines
 * them; all are divided by the temperature; the {@code topK} largest are kept, of those the
 * likeliest that together exceed {@code topP} (nucleus sampling, Holtzman et al. 2020), of those
 * the ones that are at least {@code minP} times as likely as the likeliest (Nguyen et al. 2024);
 * one is drawn by its probability. Starts with {@link #GREEDY} and its {@code with} methods.
 *
 * @param temperature 0 takes the largest logit each time; 1 draws from the model's own distribution
 * @param topK number of tokens to draw from, and those that tie with the last; 0 is all
 * @param topP probability to draw from, the token that passes it included; 0 is the likeliest token
 *     alone, 1 is all
 * @param minP least probability, as a share of the likeliest token's; 0 is all
 * @param repetitionPenalty positive logits of ids in the sequence are divided by it, negative ones
 *     multiplied; 1 is none
 * @param presencePenalty subtracted from the logits of ids that were drawn before; 0 is none
 * @param frequencyPenalty subtracted from the logit of an id for each time it was drawn; 0 is none
 * @param logitBias added to the logits, by token id; -100 excludes a token in practice, 100 forces
 *     it
 * @param seed of the draws: the same seed gives the same tokens on the same machine
 */
public record Sampler(
    double temperature,
    int topK,
    double topP,
    double minP,
    double repetitionPenalty,
    double presencePenalty,
    double frequencyPenalty,
    Map<Integer, Double> logitBias,
    long seed) {
  /** Takes the likeliest token each time; the start of the {@code with} methods. */
  public static final Sampler GREEDY = new Sampler(0, 0, 1, 0, 1, 0, 0, Map.of(), 0);

  /** The ids of one sequence, as far as penalties ask for them. */
  static final class History {
    private final BitSet seen = new BitSet();
    private final Map<Integer, Integer> drawn = new HashMap<>();
    private final boolean counts;

    /**
     * @param counts whether it matters how often an id was drawn
     */
    private History(boolean counts) {
      this.counts = counts;
    }

    /** Adds an id of the prompt. */
    void prompt(int id) {
      seen.set(id);
    }

    /** Adds an id that was drawn. */
    void drawn(int id) {
      seen.set(id);
      if (counts) {
        drawn.merge(id, 1, Integer::sum);
      }
    }
  }

  /** Buffers that draws of one thread share, so that a draw allocates nothing. */
  static final class Scratch {
    private double[] weights = {};
    private double[] heap = {};

    private void ensure(int n) {
      if (weights.length < n) {
        weights = new double[n];
        heap = new double[n];
      }
    }
  }

  /**
   * @throws InputException that names the setting which is out of range
   */
  public Sampler {
    check(
        "temperature",
        temperature >= 0 && temperature < Double.POSITIVE_INFINITY,
        "a number from 0 (greedy)",
        temperature);
    check("top-k", topK >= 0, "a number of tokens, or 0 for all", topK);
    check("top-p", topP >= 0 && topP <= 1, "a probability from 0 to 1", topP);
    check("min-p", minP >= 0 && minP <= 1, "a share from 0 to 1", minP);
    boolean penalty = repetitionPenalty > 0 && repetitionPenalty < Double.POSITIVE_INFINITY;
    check("repetition penalty", penalty, "a number above 0 (1 is none)", repetitionPenalty);
    check("presence penalty", Double.isFinite(presencePenalty), "a number", presencePenalty);
    check("frequency penalty", Double.isFinite(frequencyPenalty), "a number", frequencyPenalty);
    logitBias = Map.copyOf(logitBias);
    logitBias
        .values()
        .forEach(bias -> check("logit bias", Double.isFinite(bias), "a number", bias));
  }

  private static void check(String name, boolean holds, String expected, Number found) {
    if (!holds) {
      throw new InputException(
          String.format(Locale.ROOT, "%s: expected %s, found %s", name, expected, found));
    }
  }

  /** Returns a copy with another temperature. */
  public Sampler withTemperature(double value) {
    return new Sampler(
        value,
        topK,
        topP,
        minP,
        repetitionPenalty,
        presencePenalty,
        frequencyPenalty,
        logitBias,
        seed);
  }

  /** Returns a copy that draws from another number of tokens; 0 is all. */
  public Sampler withTopK(int value) {
    return new Sampler(
        temperature,
        value,
        topP,
        minP,
        repetitionPenalty,
        presencePenalty,
        frequencyPenalty,
        logitBias,
        seed);
  }

  /** Returns a copy that draws from another share of the probability. */
  public Sampler withTopP(double value) {
    return new Sampler(
        temperature,
        topK,
        value,
        minP,
        repetitionPenalty,
        presencePenalty,
        frequencyPenalty,
        logitBias,
        seed);
  }

  /** Returns a copy with another least probability, a share of the likeliest token's; 0 is all. */
  public Sampler withMinP(double value) {
    return new Sampler(
        temperature,
        topK,
        topP,
        value,
        repetitionPenalty,
        presencePenalty,
        frequencyPenalty,
        logitBias,
        seed);
  }

  /** Returns a copy with another repetition penalty; 1 is none. */
  public Sampler withRepetitionPenalty(double value) {
    return new Sampler(
        temperature, topK, topP, minP, value, presencePenalty, frequencyPenalty, logitBias, seed);
  }

  /** Returns a copy with another penalty for ids that were drawn before; 0 is none. */
  public Sampler withPresencePenalty(double value) {
    return new Sampler(
        temperature, topK, topP, minP, repetitionPenalty, value, frequencyPenalty, logitBias, seed);
  }

  /** Returns a copy with another penalty for each time an id was drawn; 0 is none. */
  public Sampler withFrequencyPenalty(double value) {
    return new Sampler(
        temperature, topK, topP, minP, repetitionPenalty, presencePenalty, value, logitBias, seed);
  }

  /** Returns a copy that adds to the logits of these ids. */
  public Sampler withLogitBias(Map<Integer, Double> value) {
    return new Sampler(
        temperature,
        topK,
        topP,
        minP,
        repetitionPenalty,
        presencePenalty,
        frequencyPenalty,
        value,
        seed);
  }

  /** Returns a copy with another seed. */
  public Sampler withSeed(long value) {
    return new Sampler(
        temperature,
        topK,
        topP,
        minP,
        repetitionPenalty,
        presencePenalty,
        frequencyPenalty,
        logitBias,
        value);
  }

  /** Makes the empty history of one sequence. */
  History history() {
    return new History(presencePenalty != 0 || frequencyPenalty != 0);
  }

  /** Makes the source of draws for one sequence; the same each time. */
  public RandomGenerator random() {
    return new SplittableRandom(seed);
  }

  /** Whether the history and the settings leave the logits as they are. */
  private boolean plain() {
    return repetitionPenalty == 1
        && presencePenalty == 0
        && frequencyPenalty == 0
        && logitBias.isEmpty();
  }

  /**
   * Draws an id.
   *
   * @param logits of all rows of the head, from {@code at} on; not changed
   * @param used ids from here on are padding and never drawn ({@link
   *     dev.jneox.model.Vocabulary#used})
   * @param history the ids in the sequence so far; only read where there is a penalty
   * @param allowed the only ids that may be drawn, at least one of them below {@code used}; null
   *     for all
   * @param random gives one double per call, none where the temperature is 0
   * @param scratch overwritten
   * @throws InputException if a logit is NaN or infinite: the model is broken, not the request
   */
  int next(
      float[] logits,
      int at,
      int used,
      History history,
      @Nullable BitSet allowed,
      RandomGenerator random,
      Scratch scratch) {
    int best = largest(logits, at, used);
    boolean plain = plain() && allowed == null;
    if (temperature == 0 && plain) {
      return best;
    }
    scratch.ensure(used);
    double[] weights = scratch.weights; // first the logits after penalties and bias
    for (int id = 0; id < used; id++) {
      weights[id] = logits[at + id];
    }
    if (!plain) {
      penalize(weights, used, history);
      best = largest(weights, used, allowed);
    }
    if (temperature == 0) {
      return best;
    }
    double top = weights[best];
    for (int id = 0; id < used; id++) {
      // The best weighs 1 whatever the temperature; a lone -infinity must not become NaN.
      weights[id] = weights[id] == top ? 1 : Math.exp((weights[id] - top) / temperature);
    }
    if (allowed != null) {
      for (int id = allowed.nextClearBit(0); id < used; id = allowed.nextClearBit(id + 1)) {
        weights[id] = 0;
      }
    }
    if (topK > 0 && topK < used) {
      keepTopK(weights, used, scratch.heap);
    }
    if (topP < 1) {
      keepTopP(weights, used, scratch.heap);
    }
    if (minP > 0) {
      zeroBelow(minP, weights, used); // the best weighs 1
    }
    return draw(weights, used, random.nextDouble());
  }

  /**
   * Returns the first id that has the largest logit.
   *
   * @throws InputException if a logit is NaN or infinite
   */
  private static int largest(float[] logits, int at, int used) {
    float top = Float.NEGATIVE_INFINITY;
    int best = 0;
    for (int id = 0; id < used; id++) {
      float logit = logits[at + id];
      if (!(logit < Float.POSITIVE_INFINITY)) {
        throw new InputException(
            "the model's score for token "
                + id
                + " is "
                + logit
                + ": its weights are broken, or too large for their precision");
      }
      if (logit > top) {
        top = logit;
        best = id;
      }
    }
    return best;
  }

  /** Applies the penalties and the bias to all logits. */
  private void penalize(double[] logits, int used, History history) {
    if (repetitionPenalty != 1) {
      BitSet seen = history.seen;
      for (int id = seen.nextSetBit(0); id >= 0 && id < used; id = seen.nextSetBit(id + 1)) {
        double logit = logits[id];
        logits[id] = logit > 0 ? logit / repetitionPenalty : logit * repetitionPenalty;
      }
    }
    if (presencePenalty != 0 || frequencyPenalty != 0) {
      history.drawn.forEach(
          (id, count) -> {
            if (id < used) {
              logits[id] -= presencePenalty + frequencyPenalty * count;
            }
          });
    }
    logitBias.forEach(
        (id, bias) -> {
          if (id >= 0 && id < used) {
            logits[id] += bias;
          }
        });
  }

  /** Returns the first of the allowed ids that has the largest logit of theirs. */
  private static int largest(double[] logits, int used, @Nullable BitSet allowed) {
    int best = allowed == null ? 0 : allowed.nextSetBit(0);
    for (int id = best + 1; id < used; id++) {
      if (logits[id] > logits[best] && (allowed == null || allowed.get(id))) {
        best = id;
      }
    }
    return best;
  }

  /** Zeroes all weights below the {@code topK}th largest. */
  private void keepTopK(double[] weights, int n, double[] heap) {
    System.arraycopy(weights, 0, heap, 0, n);
    DescendingHeap descending = new DescendingHeap(heap, n);
    for (int i = 1; i < topK; i++) {
      descending.next();
    }
    zeroBelow(descending.next(), weights, n);
  }

  /**
   * Zeroes what follows, in falling order of weight and rising order of id, once the weights before
   * it exceed {@code topP}.
   */
  private void keepTopP(double[] weights, int n, double[] heap) {
    double total = sum(weights, n);
    // All that is lighter than an even share of the tail is in the tail, being too light together
    // to reach out of it.
    double share = total * (1 - topP) / n;
    int candidates = 0;
    for (int id = 0; id < n; id++) {
      if (weights[id] >= share) {
        heap[candidates++] = weights[id];
      }
    }
    DescendingHeap descending = new DescendingHeap(heap, candidates);
    double least = Double.NaN;
    int ties = 0; // that are kept, of those as light as the lightest
    for (double before = 0; before <= total * topP && descending.hasNext(); before += least) {
      double weight = descending.next();
      ties = weight == least ? ties + 1 : 1;
      least = weight;
    }
    zeroBelow(least, weights, n);
    for (int id = 0; id < n; id++) {
      if (weights[id] == least && --ties < 0) {
        weights[id] = 0;
      }
    }
  }

  private static void zeroBelow(double least, double[] weights, int n) {
    for (int i = 0; i < n; i++) {
      if (weights[i] < least) {
        weights[i] = 0;
      }
    }
  }

  /**
   * Returns the id at which the running sum of the weights first exceeds {@code u} of the whole:
   * the inverse of their distribution.
   */
  private static int draw(double[] weights, int n, double u) {
    double target = u * sum(weights, n);
    double sum = 0;
    int last = 0;
    for (int id = 0; id < n; id++) {
      if (weights[id] > 0) {
        sum += weights[id];
        last = id;
        if (sum > target) {
          break;
        }
      }
    }
    return last;
  }

  /** Adds up in the order of {@link #draw}, so that the two agree to the last bit. */
  private static double sum(double[] weights, int n) {
    double sum = 0;
    for (int id = 0; id < n; id++) {
      sum += weights[id];
    }
    return sum;
  }
}
