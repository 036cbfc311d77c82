package dev.jneox.infer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.jneox.infer.Token.Candidate;
import java.util.Comparator;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class LogSoftmaxTest {
  /** The definition, with StrictMath. */
  private static double logSumOfExp(float[] logits, int at, int n) {
    double max = IntStream.range(at, at + n).mapToDouble(i -> logits[i]).max().getAsDouble();
    double sum =
        IntStream.range(at, at + n).mapToDouble(i -> StrictMath.exp(logits[i] - max)).sum();
    return max + StrictMath.log(sum);
  }

  @Property(tries = 500)
  void theSumIsThatOfTheDefinition(
      @ForAll @IntRange(min = 1, max = 300) int n,
      @ForAll @IntRange(min = 0, max = 20) int at,
      @ForAll long seed) {
    Random random = new Random(seed);
    float[] logits = new float[at + n + 9];
    double scale = Math.pow(10, random.nextInt(4));
    for (int i = 0; i < logits.length; i++) {
      boolean impossible = i > at && random.nextInt(20) == 0;
      logits[i] = impossible ? Float.NEGATIVE_INFINITY : (float) (random.nextGaussian() * scale);
    }
    double expected = logSumOfExp(logits, at, n);
    assertThat(LogSoftmax.logSumOfExp(logits, at, n))
        .isCloseTo(expected, within(1e-15 * (10 + Math.abs(expected))));
  }

  @ParameterizedTest
  @ValueSource(floats = {Float.NaN, Float.POSITIVE_INFINITY})
  void logitsThatAreNoNumbersGiveNone(float broken) {
    for (int n = 1; n < 40; n++) {
      for (int i = 0; i < n; i++) {
        float[] logits = new float[n];
        logits[i] = broken;
        assertThat(LogSoftmax.logSumOfExp(logits, 0, n)).as("%d of %d", i, n).isNaN();
      }
    }
  }

  @Property(tries = 500)
  void theLikeliestComeFirstAndOfEqualsTheSmallestId(
      @ForAll @IntRange(min = 1, max = 50) int used,
      @ForAll @IntRange(min = 0, max = 60) int n,
      @ForAll long seed) {
    Random random = new Random(seed);
    float[] logits = new float[used + 10];
    for (int i = 0; i < logits.length; i++) {
      logits[i] = random.nextInt(20); // many ties
    }
    List<Candidate> expected =
        IntStream.range(0, used)
            .mapToObj(id -> new Candidate(id, logits[3 + id] - 2.5))
            .sorted(Comparator.comparingDouble(Candidate::logProb).reversed())
            .limit(n)
            .toList();
    assertThat(LogSoftmax.top(logits, 3, used, n, 2.5)).isEqualTo(expected);
  }

  @Test
  void aHundredThousandLogitsKeepTheirPrecision() {
    float[] logits = new float[100_000];
    assertThat(LogSoftmax.logSumOfExp(logits, 0, logits.length)).isEqualTo(StrictMath.log(100_000));
  }
}
