package dev.jneox.infer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.jneox.io.Progress;
import dev.jneox.model.ModelSpec;
import dev.jneox.weights.RandomWeights;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class DivergenceTest {
  private static final int VOCABULARY = 30;

  @ParameterizedTest
  @ValueSource(ints = {2, 40})
  void itIsTheSumOverAllCandidates(int length) {
    assertSum(length);
  }

  /** Texts beyond the context, and longer than what is held at a time. */
  @Tag("slow")
  @ParameterizedTest
  @ValueSource(ints = {300, 700})
  void itIsTheSumOverAllCandidatesOfALongText(int length) {
    assertSum(length);
  }

  private static void assertSum(int length) {
    ModelSpec spec = ModelSpec.neox(VOCABULARY, 16, 2, 2, 512);
    int[] ids = new Random(2).ints(length, 0, VOCABULARY).toArray();
    try (PackedModel one = PackedModel.of(new RandomWeights(spec, 5), Precision.STORED);
        PackedModel two = PackedModel.of(new RandomWeights(spec, 6), Precision.STORED);
        Engine p = new Engine(one, Scorer.settings(one));
        Engine q = new Engine(two, Scorer.settings(two))) {
      Divergence found = Divergence.of(p, q, ids, Progress.silent());
      assertThat(found.before()).isEqualTo(LogLikelihood.of(new Scorer(p).logProbabilities(ids)));
      assertThat(found.after()).isEqualTo(LogLikelihood.of(new Scorer(q).logProbabilities(ids)));
      List<Double> all = new ArrayList<>();
      int same = 0;
      for (int i = 1; i < length; i++) {
        int window = i <= 512 ? 0 : 256; // of Scorer
        List<Token.Candidate> before = candidates(p, ids, window, i);
        List<Token.Candidate> after = candidates(q, ids, window, i);
        Map<Integer, Double> logQ =
            after.stream().collect(Collectors.toMap(Token.Candidate::id, Token.Candidate::logProb));
        all.add(
            before.stream()
                .mapToDouble(c -> Math.exp(c.logProb()) * (c.logProb() - logQ.get(c.id())))
                .sum());
        same += before.getFirst().id() == after.getFirst().id() ? 1 : 0;
      }
      double mean = all.stream().mapToDouble(d -> d).average().orElseThrow();
      Collections.sort(all);
      assertThat(found.meanKl()).isCloseTo(mean, within(1e-9)).isPositive();
      assertThat(found.kl99())
          .isCloseTo(all.get((int) Math.ceil(0.99 * all.size()) - 1), within(1e-9));
      assertThat(found.topAgreement()).isEqualTo((double) same / (length - 1));

      Divergence none = Divergence.of(p, p, ids, Progress.silent());
      assertThat(none.meanKl()).isZero();
      assertThat(none.kl99()).isZero();
      assertThat(none.topAgreement()).isEqualTo(1);
    }
  }

  private static List<Token.Candidate> candidates(Engine engine, int[] ids, int from, int at) {
    int[] prompt = Arrays.copyOfRange(ids, from, at + 1);
    GenerationRequest request =
        GenerationRequest.builder(prompt)
            .maxTokens(0)
            .promptLogprobs(VOCABULARY)
            .scoreFrom(at - from)
            .build();
    return engine.submit(request).result().prompt().getLast().top();
  }
}
