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

class LogSoftmaxTest {
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
  void aLogitLessTheLogarithmOfTheSumIsALogProbability() {
    float[] logits = {9, 1, 2, 3};
    double logSum = LogSoftmax.logSumOfExp(logits, 1, 3);
    assertThat(LogSoftmax.top(logits, 1, 3, 3, logSum))
        .extracting(candidate -> Math.exp(candidate.logProb()))
        .satisfiesExactly(
            p -> assertThat(p).isCloseTo(0.665241, within(1e-6)),
            p -> assertThat(p).isCloseTo(0.244728, within(1e-6)),
            p -> assertThat(p).isCloseTo(0.090031, within(1e-6)));
  }
}
