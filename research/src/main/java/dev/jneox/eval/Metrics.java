package dev.jneox.eval;

import dev.jneox.infer.TextLikelihood;
import dev.jneox.io.InputException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/** Measures what a model gave for one document, as lm-evaluation-harness does. */
final class Metrics {
  private Metrics() {}

  static Response.Score score(Response response) {
    if (response instanceof Response.Score score) {
      return score;
    }
    throw new InputException("expected a log-likelihood, found a text");
  }

  static String text(Response response) {
    if (response instanceof Response.Written(String text)) {
      return text;
    }
    throw new InputException("expected a text, found a log-likelihood");
  }

  /** Keeps the metrics that a task has. */
  private static Map<String, Measured> wanted(TaskSpec task, Map<String, Measured> all) {
    Map<String, Measured> wanted = new LinkedHashMap<>();
    for (Metric metric : task.metrics) {
      Measured measured = all.get(metric.name());
      if (measured != null) {
        wanted.put(metric.name(), measured);
      }
    }
    return wanted;
  }

  static Measured value(boolean right) {
    return new Measured.Value(right ? 1 : 0);
  }

  static Map<String, Measured> loglikelihood(TaskSpec task, Response response) {
    Response.Score score = score(response);
    return wanted(
        task,
        Map.of(
            "perplexity", new Measured.Value(score.logLikelihood()), "acc", value(score.greedy())));
  }

  static Map<String, Measured> rolling(TaskSpec task, Response response, String text) {
    return wanted(task, rolling(score(response).logLikelihood(), text));
  }

  /** Divides a log-likelihood by the words and bytes of a text. */
  static Map<String, Measured> rolling(double logLikelihood, String text) {
    TextLikelihood of = TextLikelihood.of(new float[0], text);
    Map<String, Measured> measured = new LinkedHashMap<>();
    measured.put("word_perplexity", new Measured.Ratio(logLikelihood, of.words()));
    measured.put("byte_perplexity", new Measured.Ratio(logLikelihood, of.bytes()));
    measured.put("bits_per_byte", new Measured.Ratio(logLikelihood, of.bytes()));
    return measured;
  }

  /**
   * Measures a multiple choice.
   *
   * @param gold the number of the right choice, or its text, or a list of right ones
   * @param several whether the task has several right ones
   */
  static Map<String, Measured> choice(
      TaskSpec task,
      List<String> choices,
      @Nullable Object gold,
      boolean several,
      List<Response> responses) {
    int n = choices.size();
    double[] all = responses.stream().mapToDouble(each -> score(each).logLikelihood()).toArray();
    double[] sums = java.util.Arrays.copyOf(all, n);
    List<Integer> golds = golds(gold, choices);
    int predicted = largest(sums);
    Map<String, Measured> measured = new LinkedHashMap<>();
    measured.put("acc", value(golds.contains(predicted)));
    measured.put(
        "acc_norm",
        value(
            golds.contains(
                largest(divided(sums, choices.stream().map(PythonText::length).toList())))));
    measured.put(
        "acc_bytes",
        value(
            golds.contains(
                largest(divided(sums, choices.stream().map(PythonText::bytes).toList())))));
    measured.put(
        "exact_match",
        value(golds.stream().anyMatch(i -> i >= 0 && score(responses.get(i)).greedy())));
    if (!several) {
      int right = golds.getFirst();
      measured.put("f1", new Measured.Label(right, predicted));
      measured.put("mcc", new Measured.Label(right, predicted));
      if (right >= 0) {
        measured.put("brier_score", new Measured.Distribution(right, softmax(sums)));
      }
    }
    if (all.length == 2 * n) { // with those of the choices without the context behind them
      double[] gained = IntStream.range(0, n).mapToDouble(i -> all[i] - all[n + i]).toArray();
      measured.put("acc_mutual_info", value(golds.contains(largest(gained))));
    }
    return wanted(task, measured);
  }

  /**
   * Returns the numbers of the right choices. One that is not among them is -100, or below 0 as it
   * is given, and never predicted: the harness has it so.
   *
   * @param gold the number of the right choice, or its text, or a list of right ones
   */
  static List<Integer> golds(@Nullable Object gold, List<String> choices) {
    List<Integer> golds = new ArrayList<>();
    for (Object each :
        gold instanceof List<?> list ? list : java.util.Collections.singletonList(gold)) {
      golds.add(number(each, choices));
    }
    return golds;
  }

  /** Returns the number of a choice, or -100 where it is none, as the harness has it. */
  private static int number(@Nullable Object gold, List<String> choices) {
    return switch (gold) {
      case Long number -> number < choices.size() ? (int) Math.max(number, -100) : -100;
      case Boolean flag -> flag ? 1 : 0;
      case String text -> choices.contains(text) ? choices.indexOf(text) : -100;
      case null, default ->
          throw new InputException(
              "expected the number or the text of a choice as the target, found "
                  + Document.shown(gold));
    };
  }

  /** Returns the first of the largest; a NaN counts as the largest. */
  static int largest(double[] values) {
    int best = 0;
    for (int i = 0; i < values.length; i++) {
      if (Double.isNaN(values[i])) {
        return i;
      }
      if (values[i] > values[best]) {
        best = i;
      }
    }
    return best;
  }

  private static double[] divided(double[] values, List<Integer> by) {
    return IntStream.range(0, values.length).mapToDouble(i -> values[i] / by.get(i)).toArray();
  }

  static double[] softmax(double[] values) {
    double most = values[largest(values)];
    double[] result =
        java.util.Arrays.stream(values).map(value -> Math.exp(value - most)).toArray();
    double sum = java.util.Arrays.stream(result).sum();
    return java.util.Arrays.stream(result).map(value -> value / sum).toArray();
  }

  /**
   * Measures a generated text.
   *
   * @param golds texts of which one has to match
   */
  static Map<String, Measured> generated(
      TaskSpec task, List<String> golds, List<Response> responses) {
    if (responses.size() > 1) {
      throw new InputException(
          "expected a filter that leaves one response, such as take_first, found "
              + responses.size()
              + " responses");
    }
    String text = text(responses.getFirst());
    Map<String, Measured> measured = new LinkedHashMap<>();
    for (Metric metric : task.metrics) {
      measured.put(
          metric.name(),
          value(golds.stream().anyMatch(gold -> metric.matching().matches(text, gold))));
    }
    return measured;
  }
}
