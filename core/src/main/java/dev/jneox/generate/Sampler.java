package dev.jneox.generate;

import dev.jneox.io.InputException;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Locale;
import java.util.SplittableRandom;
import java.util.random.RandomGenerator;

/**
 * How the next token is drawn from the model's scores, in GPT-NeoX's order: the scores of ids
 * already in the text are pushed down (CTRL, Keskar et al. 2019), all are divided by the
 * temperature, the best {@code topK} are kept, of those the likeliest that together pass {@code
 * topP} (nucleus sampling, Holtzman et al. 2020), and one is drawn by its probability.
 *
 * @param temperature 0 takes the best score each time; 1 draws from the model's own distribution
 * @param topK how many tokens to draw from, and those that tie with the last; 0 is all
 * @param topP probability to draw from, the token that passes it included; 0 (as GPT-NeoX has it)
 *     and 1 are all
 * @param repetitionPenalty positive scores of ids in the text are divided by it, negative ones
 *     multiplied; 1 is none
 * @param seed of the draws: the same seed gives the same text on the same machine
 */
public record Sampler(
    double temperature, int topK, double topP, double repetitionPenalty, long seed) {
  /** The best token each time. */
  public static final Sampler GREEDY = new Sampler(0, 0, 1, 1, 0);

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
    boolean penalty = repetitionPenalty > 0 && repetitionPenalty < Double.POSITIVE_INFINITY;
    check("repetition penalty", penalty, "a number above 0 (1 is none)", repetitionPenalty);
  }

  private static void check(String name, boolean holds, String expected, Number found) {
    if (!holds) {
      throw new InputException(
          String.format(Locale.ROOT, "%s: expected %s, found %s", name, expected, found));
    }
  }

  /** A source of draws for one text; the same each time. */
  public RandomGenerator random() {
    return new SplittableRandom(seed);
  }

  /**
   * Draws an id.
   *
   * @param logits the scores of all rows of the head, from {@code at} on; not changed
   * @param used ids from here on are padding and never drawn ({@link
   *     dev.jneox.model.ModelConfig#usedVocab})
   * @param seen the ids in the text so far; only read where there is a penalty
   * @param random gives one double per call, none where the temperature is 0
   * @throws InputException if a score is not a number: the model is broken, not the request
   */
  public int next(float[] logits, int at, int used, BitSet seen, RandomGenerator random) {
    double[] scores = temperature == 0 ? null : new double[used];
    int best = 0;
    double top = Double.NEGATIVE_INFINITY;
    for (int id = 0; id < used; id++) {
      double score = logits[at + id];
      if (Double.isNaN(score) || score == Double.POSITIVE_INFINITY) {
        throw new InputException(
            "the model's score for token "
                + id
                + " is "
                + score
                + ": its weights are broken, or too large for their precision");
      }
      if (repetitionPenalty != 1 && seen.get(id)) {
        score = score > 0 ? score / repetitionPenalty : score * repetitionPenalty;
      }
      if (score > top) {
        top = score;
        best = id;
      }
      if (scores != null) {
        scores[id] = score;
      }
    }
    if (temperature == 0) {
      return best;
    }
    double[] weights = scores;
    for (int id = 0; id < used; id++) {
      // The best weighs 1 whatever the temperature; a lone -infinity must not become NaN.
      weights[id] = scores[id] == top ? 1 : Math.exp((scores[id] - top) / temperature);
    }
    if (topK > 0 && topK < used) {
      keepTopK(weights);
    }
    if (topP > 0 && topP < 1) {
      keepTopP(weights);
    }
    return draw(weights, random.nextDouble());
  }

  /** Zeroes all below the {@code topK}th largest. */
  private void keepTopK(double[] weights) {
    Falling falling = new Falling(weights.clone());
    for (int i = 1; i < topK; i++) {
      falling.next();
    }
    zeroBelow(falling.next(), weights);
  }

  /**
   * Zeroes what follows, in falling order of weight and rising order of id, once the weights before
   * it exceed {@code topP}.
   */
  private void keepTopP(double[] weights) {
    double total = sum(weights);
    // All that is lighter than an even share of the tail is in the tail, being too light together
    // to reach out of it.
    double share = total * (1 - topP) / weights.length;
    Falling falling =
        new Falling(Arrays.stream(weights).filter(weight -> weight >= share).toArray());
    double least = Double.NaN;
    int ties = 0; // that are kept, of those as light as the lightest
    for (double before = 0; before <= total * topP && falling.hasNext(); before += least) {
      double weight = falling.next();
      ties = weight == least ? ties + 1 : 1;
      least = weight;
    }
    zeroBelow(least, weights);
    for (int id = 0; id < weights.length; id++) {
      if (weights[id] == least && --ties < 0) {
        weights[id] = 0;
      }
    }
  }

  private static void zeroBelow(double least, double[] weights) {
    for (int i = 0; i < weights.length; i++) {
      if (weights[i] < least) {
        weights[i] = 0;
      }
    }
  }

  /**
   * The id at which the running sum of the weights first exceeds {@code u} of the whole: the
   * inverse of their distribution.
   */
  private static int draw(double[] weights, double u) {
    double target = u * sum(weights);
    double sum = 0;
    int last = 0;
    for (int id = 0; id < weights.length; id++) {
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

  /** In the order in which {@link #draw} adds up, so that the two agree to the last bit. */
  private static double sum(double[] weights) {
    double sum = 0;
    for (double weight : weights) {
      sum += weight;
    }
    return sum;
  }
}
