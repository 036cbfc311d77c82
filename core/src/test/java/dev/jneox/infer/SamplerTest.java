package dev.jneox.infer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.io.InputException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Comparator;
import java.util.List;
import java.util.random.RandomGenerator;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.EdgeCasesMode;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.Tuple;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SamplerTest {
  private static final BitSet NONE = new BitSet();

  /** Shared, so that a draw that reads what another left behind is found. */
  private static final Sampler.Scratch SCRATCH = new Sampler.Scratch();

  @Provide
  Arbitrary<Sampler> samplers() {
    return Combinators.combine(
            Arbitraries.of(0.0, 1e-9, 0.3, 1.0, 2.5, 1e9),
            Arbitraries.integers().between(0, 12),
            Arbitraries.of(0.0, 1e-9, 0.1, 0.25, 0.5, 0.75, 0.9, 0.999999, 1.0),
            Arbitraries.of(0.5, 1.0, 1.3),
            Arbitraries.just(0L))
        .as(Sampler::new);
  }

  /** Many ties, some scores of no chance at all. */
  @Provide
  Arbitrary<float[]> scores() {
    Arbitrary<Float> score =
        Arbitraries.frequencyOf(
            Tuple.of(6, Arbitraries.of(-2f, -1f, 0f, 0.5f, 1f)),
            Tuple.of(6, Arbitraries.floats().between(-20, 20)),
            Tuple.of(1, Arbitraries.just(Float.NEGATIVE_INFINITY)));
    return score.array(float[].class).ofMinSize(1).ofMaxSize(12);
  }

  @Property(tries = 3000, edgeCases = EdgeCasesMode.NONE)
  void theIdDrawnIsTheInverseOfTheDistributionAsDefined(
      @ForAll("samplers") Sampler sampler,
      @ForAll("scores") float[] scores,
      @ForAll int seenIds,
      @ForAll long bits) {
    BitSet seen = BitSet.valueOf(new long[] {seenIds & 0xFFF});
    int used = Math.max(1, scores.length - 2);
    int drawn = sampler.next(scores, 0, used, seen, () -> bits, SCRATCH);
    double[] weights = distribution(sampler, scores, used, seen);
    double u = (bits >>> 11) * 0x1p-53; // what RandomGenerator makes of the bits
    double total = Arrays.stream(weights).sum();
    double before = Arrays.stream(weights, 0, drawn).sum() / total;
    assertThat(weights[drawn]).isPositive();
    assertThat(u).isBetween(before - 1e-12, before + weights[drawn] / total + 1e-12);
  }

  /** Each step as it is described, with lists and sorting. */
  private static double[] distribution(Sampler s, float[] scores, int used, BitSet seen) {
    double[] logits = new double[used];
    for (int i = 0; i < used; i++) {
      double penalty = seen.get(i) ? s.repetitionPenalty() : 1;
      logits[i] = scores[i] > 0 ? scores[i] / penalty : scores[i] * penalty;
    }
    double top = Arrays.stream(logits).max().getAsDouble();
    double[] weights = new double[used];
    if (s.temperature() == 0) {
      int first = 0;
      while (logits[first] != top) {
        first++;
      }
      weights[first] = 1;
      return weights;
    }
    List<Integer> order = new ArrayList<>();
    for (int i = 0; i < used; i++) {
      weights[i] = logits[i] == top ? 1 : Math.exp((logits[i] - top) / s.temperature());
      order.add(i);
    }
    order.sort(Comparator.<Integer>comparingDouble(i -> weights[i]).reversed());
    if (s.topK() > 0 && s.topK() < used) {
      double least = weights[order.get(s.topK() - 1)];
      for (int i = 0; i < used; i++) {
        weights[i] = weights[i] < least ? 0 : weights[i];
      }
    }
    double total = 0;
    for (double w : weights) {
      total += w;
    }
    double before = 0;
    for (int id : order) {
      double w = weights[id];
      if (s.topP() > 0 && s.topP() < 1 && before > total * s.topP()) {
        weights[id] = 0;
      }
      before += w;
    }
    return weights;
  }

  @Test
  void drawsComeAsOftenAsTheirProbabilitySays() {
    Sampler sampler = new Sampler(0.7, 0, 1, 1, 42);
    float[] scores = {1, -0.5f, 0.25f, 2, -1, 1.5f};
    double[] weights = distribution(sampler, scores, scores.length, NONE);
    double total = Arrays.stream(weights).sum();
    int[] counts = new int[scores.length];
    RandomGenerator random = sampler.random();
    int draws = 200_000;
    for (int i = 0; i < draws; i++) {
      counts[sampler.next(scores, 0, scores.length, NONE, random, SCRATCH)]++;
    }
    double chiSquare = 0;
    for (int i = 0; i < counts.length; i++) {
      double expected = draws * weights[i] / total;
      chiSquare += (counts[i] - expected) * (counts[i] - expected) / expected;
    }
    assertThat(chiSquare).as("5 degrees of freedom: 20.5 once in a thousand").isLessThan(20.5);
  }

  @Test
  void theSameSeedDrawsTheSame() {
    float[] scores = new float[1000];
    assertThat(draws(new Sampler(1, 0, 1, 1, 7), scores))
        .isEqualTo(draws(new Sampler(1, 0, 1, 1, 7), scores))
        .isNotEqualTo(draws(new Sampler(1, 0, 1, 1, 8), scores));
  }

  private static List<Integer> draws(Sampler sampler, float[] scores) {
    RandomGenerator random = sampler.random();
    List<Integer> ids = new ArrayList<>();
    for (int i = 0; i < 20; i++) {
      ids.add(sampler.next(scores, 0, scores.length, NONE, random, SCRATCH));
    }
    return ids;
  }

  @Test
  void paddingIsNeverDrawnHoweverHighItScores() {
    float[] scores = {0, 0, 0, 100, Float.NaN};
    for (double temperature : new double[] {0, 1, 100}) {
      Sampler sampler = new Sampler(temperature, 2, 0.9, 1, 3);
      RandomGenerator random = sampler.random();
      for (int i = 0; i < 100; i++) {
        assertThat(sampler.next(scores, 0, 3, NONE, random, SCRATCH)).isLessThan(3);
      }
    }
  }

  @Test
  void topPKeepsTheTokenThatPassesIt() {
    float[] scores = {(float) Math.log(0.5), (float) Math.log(0.3), (float) Math.log(0.2)};
    assertThat(drawable(0.4, scores)).containsExactly(0);
    assertThat(drawable(0.6, scores)).containsExactly(0, 1);
    assertThat(drawable(0.85, scores)).containsExactly(0, 1, 2);
  }

  private static BitSet drawableSet(double topP, float[] scores) {
    Sampler sampler = new Sampler(1, 0, topP, 1, 1);
    BitSet ids = new BitSet();
    RandomGenerator random = sampler.random();
    for (int i = 0; i < 200; i++) {
      ids.set(sampler.next(scores, 0, scores.length, NONE, random, SCRATCH));
    }
    return ids;
  }

  private static int[] drawable(double topP, float[] scores) {
    return drawableSet(topP, scores).stream().toArray();
  }

  @ParameterizedTest
  @CsvSource({
    "-1, 0, 1, 1, 'temperature: expected a number from 0 (greedy), found -1.0'",
    "NaN, 0, 1, 1, 'temperature: expected a number from 0 (greedy), found NaN'",
    "Infinity, 0, 1, 1, 'temperature: expected a number from 0 (greedy), found Infinity'",
    "1, -1, 1, 1, 'top-k: expected a number of tokens, or 0 for all, found -1'",
    "1, 0, 1.5, 1, 'top-p: expected a probability from 0 to 1, found 1.5'",
    "1, 0, 1, 0, 'repetition penalty: expected a number above 0 (1 is none), found 0.0'",
  })
  void aSettingOutOfRangeIsNamed(
      double temperature, int topK, double topP, double penalty, String message) {
    assertThatThrownBy(() -> new Sampler(temperature, topK, topP, penalty, 0))
        .isInstanceOf(InputException.class)
        .hasMessage(message);
  }

  @Test
  void aModelThatGivesNoNumbersIsNamed() {
    for (float broken : new float[] {Float.NaN, Float.POSITIVE_INFINITY}) {
      assertThatThrownBy(
              () -> Sampler.GREEDY.next(new float[] {1, broken, 2}, 0, 3, NONE, () -> 0, SCRATCH))
          .isInstanceOf(InputException.class)
          .hasMessageContaining("score for token 1 is " + broken);
    }
  }
}
