package dev.jneox.infer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.io.InputException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.random.RandomGenerator;
import java.util.stream.IntStream;
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
  private static final Sampler.History NONE = Sampler.GREEDY.history();

  /** Shared, so that a draw that reads what another left behind is found. */
  private static final Sampler.Scratch SCRATCH = new Sampler.Scratch();

  @Provide
  Arbitrary<Sampler> samplers() {
    return Combinators.combine(
            Arbitraries.of(0.0, 1e-9, 0.3, 1.0, 2.5, 1e9),
            Arbitraries.integers().between(0, 12),
            Arbitraries.of(0.0, 1e-9, 0.1, 0.25, 0.5, 0.75, 0.9, 0.999999, 1.0),
            Arbitraries.of(0.0, 0.0, 0.2, 1.0),
            Arbitraries.of(0.5, 1.0, 1.3),
            Arbitraries.of(0.0, 0.0, -1.0, 0.5),
            Arbitraries.of(0.0, 0.0, 0.75),
            Arbitraries.<Map<Integer, Double>>of(
                Map.of(), Map.of(), Map.of(0, 100.0), Map.of(1, -0.5, 40, 3.0)))
        .as(
            (temperature, topK, topP, minP, repetition, presence, frequency, bias) ->
                new Sampler(
                    temperature, topK, topP, minP, repetition, presence, frequency, bias, 0));
  }

  @Provide
  Arbitrary<List<Integer>> ids() {
    return Arbitraries.integers().between(0, 12).list().ofMaxSize(8);
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
      @ForAll("ids") List<Integer> prompt,
      @ForAll("ids") List<Integer> before,
      @ForAll("ids") List<Integer> allowed,
      @ForAll long bits) {
    int used = Math.max(1, scores.length - 2);
    Sampler.History history = sampler.history();
    prompt.forEach(history::prompt);
    before.forEach(history::drawn);
    BitSet mask = new BitSet();
    allowed.forEach(mask::set);
    if (mask.nextSetBit(0) < 0 || mask.nextSetBit(0) >= used) {
      mask = null;
    }
    int drawn = sampler.next(scores, 0, used, history, mask, () -> bits, SCRATCH);
    double[] weights = distribution(sampler, scores, used, prompt, before, mask);
    double u = (bits >>> 11) * 0x1p-53; // what RandomGenerator makes of the bits
    double total = Arrays.stream(weights).sum();
    double lower = Arrays.stream(weights, 0, drawn).sum() / total;
    assertThat(weights[drawn]).isPositive();
    assertThat(u).isBetween(lower - 1e-12, lower + weights[drawn] / total + 1e-12);
  }

  /** Each step as it is described, with lists and sorting. */
  private static double[] distribution(
      Sampler s,
      float[] scores,
      int used,
      List<Integer> prompt,
      List<Integer> before,
      BitSet allowed) {
    double[] logits = new double[used];
    for (int i = 0; i < used; i++) {
      boolean seen = prompt.contains(i) || before.contains(i);
      double penalty = seen ? s.repetitionPenalty() : 1;
      logits[i] = scores[i] > 0 ? scores[i] / penalty : scores[i] * penalty;
      if (before.contains(i)) {
        logits[i] -= s.presencePenalty() + s.frequencyPenalty() * Collections.frequency(before, i);
      }
      if (s.logitBias().containsKey(i)) {
        logits[i] += s.logitBias().get(i);
      }
    }
    int[] drawable =
        IntStream.range(0, used).filter(i -> allowed == null || allowed.get(i)).toArray();
    double top = Arrays.stream(drawable).mapToDouble(i -> logits[i]).max().getAsDouble();
    double[] weights = new double[used];
    if (s.temperature() == 0) {
      weights[Arrays.stream(drawable).filter(i -> logits[i] == top).findFirst().getAsInt()] = 1;
      return weights;
    }
    List<Integer> order = new ArrayList<>();
    for (int i : drawable) {
      weights[i] = logits[i] == top ? 1 : Math.exp((logits[i] - top) / s.temperature());
    }
    IntStream.range(0, used).forEach(order::add);
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
    double sum = 0;
    for (int id : order) {
      double w = weights[id];
      if (s.topP() < 1 && sum > total * s.topP()) {
        weights[id] = 0;
      }
      sum += w;
    }
    for (int i = 0; i < used; i++) {
      weights[i] = weights[i] < s.minP() ? 0 : weights[i];
    }
    return weights;
  }

  @Test
  void drawsComeAsOftenAsTheirProbabilitySays() {
    Sampler sampler = Sampler.GREEDY.withTemperature(0.7).withSeed(42);
    float[] scores = {1, -0.5f, 0.25f, 2, -1, 1.5f};
    double[] weights = distribution(sampler, scores, scores.length, List.of(), List.of(), null);
    double total = Arrays.stream(weights).sum();
    int[] counts = new int[scores.length];
    RandomGenerator random = sampler.random();
    int draws = 200_000;
    for (int i = 0; i < draws; i++) {
      counts[sampler.next(scores, 0, scores.length, NONE, null, random, SCRATCH)]++;
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
    assertThat(draws(Sampler.GREEDY.withTemperature(1).withSeed(7), scores))
        .isEqualTo(draws(Sampler.GREEDY.withTemperature(1).withSeed(7), scores))
        .isNotEqualTo(draws(Sampler.GREEDY.withTemperature(1).withSeed(8), scores));
  }

  private static List<Integer> draws(Sampler sampler, float[] scores) {
    RandomGenerator random = sampler.random();
    List<Integer> ids = new ArrayList<>();
    for (int i = 0; i < 20; i++) {
      ids.add(sampler.next(scores, 0, scores.length, NONE, null, random, SCRATCH));
    }
    return ids;
  }

  @Test
  void paddingIsNeverDrawnHoweverHighItScores() {
    float[] scores = {0, 0, 0, 100, Float.NaN};
    for (double temperature : new double[] {0, 1, 100}) {
      Sampler sampler =
          Sampler.GREEDY.withTemperature(temperature).withTopK(2).withTopP(0.9).withSeed(3);
      RandomGenerator random = sampler.random();
      for (int i = 0; i < 100; i++) {
        assertThat(sampler.next(scores, 0, 3, NONE, null, random, SCRATCH)).isLessThan(3);
      }
    }
  }

  @Test
  void topPKeepsTheTokenThatPassesIt() {
    float[] scores = {(float) Math.log(0.5), (float) Math.log(0.3), (float) Math.log(0.2)};
    assertThat(drawable(0, scores)).containsExactly(0);
    assertThat(drawable(0.4, scores)).containsExactly(0);
    assertThat(drawable(0.6, scores)).containsExactly(0, 1);
    assertThat(drawable(0.85, scores)).containsExactly(0, 1, 2);
  }

  private static BitSet drawableSet(double topP, float[] scores) {
    Sampler sampler = Sampler.GREEDY.withTemperature(1).withTopP(topP).withSeed(1);
    BitSet ids = new BitSet();
    RandomGenerator random = sampler.random();
    for (int i = 0; i < 200; i++) {
      ids.set(sampler.next(scores, 0, scores.length, NONE, null, random, SCRATCH));
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
    assertThatThrownBy(() -> new Sampler(temperature, topK, topP, 0, penalty, 0, 0, Map.of(), 0))
        .isInstanceOf(InputException.class)
        .hasMessage(message);
  }

  @Test
  void aModelThatGivesNoNumbersIsNamed() {
    for (float broken : new float[] {Float.NaN, Float.POSITIVE_INFINITY}) {
      assertThatThrownBy(
              () ->
                  Sampler.GREEDY.next(
                      new float[] {1, broken, 2}, 0, 3, NONE, null, () -> 0, SCRATCH))
          .isInstanceOf(InputException.class)
          .hasMessageContaining("score for token 1 is " + broken);
    }
  }
}
