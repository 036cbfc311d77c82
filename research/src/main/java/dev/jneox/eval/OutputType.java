package dev.jneox.eval;

import java.util.List;
import java.util.Locale;

/** Says what a task asks a model for, and which metrics it has where its file names none. */
enum OutputType {
  LOGLIKELIHOOD("perplexity", "acc"),
  LOGLIKELIHOOD_ROLLING("word_perplexity", "byte_perplexity", "bits_per_byte"),
  MULTIPLE_CHOICE("acc", "acc_norm"),
  GENERATE_UNTIL("exact_match");

  private final List<String> metrics;

  OutputType(String... metrics) {
    this.metrics = List.of(metrics);
  }

  List<String> metrics() {
    return metrics;
  }

  /** Returns its name in task files. */
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
