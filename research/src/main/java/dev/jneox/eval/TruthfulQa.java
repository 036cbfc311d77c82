package dev.jneox.eval;

import java.util.List;
import java.util.Map;

/**
 * Measures TruthfulQA (Lin et al. 2022) by the share of the probability that the true answers have
 * among all ("MC2").
 */
final class TruthfulQa {
  private static final String FIELD = "mc2_targets";

  private TruthfulQa() {}

  static Map<String, Measured> mc2(Document document, List<Response> responses) {
    if (!(document.value(FIELD) instanceof Map<?, ?> targets)
        || !(targets.get("labels") instanceof List<?> labels)
        || labels.size() != responses.size()) {
      throw document.expected(FIELD, "labels, one for each of its choices");
    }
    double[] shares =
        Metrics.softmax(
            responses.stream().mapToDouble(each -> Metrics.score(each).logLikelihood()).toArray());
    double trueOnes = 0;
    for (int i = 0; i < shares.length; i++) {
      trueOnes += Long.valueOf(1).equals(labels.get(i)) ? shares[i] : 0;
    }
    return Map.of("acc", new Measured.Value(trueOnes));
  }
}
