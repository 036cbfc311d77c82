package dev.jneox.eval;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Prepares and measures CrowS-Pairs (Nangia et al. 2020): pairs of sentences, one more of a
 * stereotype than the other. A model of text from left to right scores them whole; the paper's
 * score, of masked tokens, is another.
 */
final class CrowsPairs {
  private CrowsPairs() {}

  static Object sentences(Document document) {
    return List.of(document.text("sent_more"), document.text("sent_less"));
  }

  static Map<String, Measured> measures(Document document, List<Response> responses) {
    double more = Metrics.score(responses.getFirst()).logLikelihood();
    double less = Metrics.score(responses.getLast()).logLikelihood();
    Map<String, Measured> measured = new LinkedHashMap<>();
    measured.put("likelihood_diff", new Measured.Value(Math.abs(more - less)));
    measured.put("pct_stereotype", Metrics.value(more > less));
    return measured;
  }
}
