package dev.jneox.eval;

import dev.jneox.io.InputException;
import dev.jneox.template.PythonRegex;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

/**
 * Is a metric of a task.
 *
 * @param name as results have it
 * @param higherIsBetter whether more is better
 * @param matching how generated texts are compared
 */
record Metric(String name, Aggregation aggregation, boolean higherIsBetter, Matching matching) {
  /**
   * Says what two texts may differ in and still match.
   *
   * @param ignored parts that are taken out of both
   */
  record Matching(
      List<PythonRegex> ignored,
      boolean ignoreCase,
      boolean ignorePunctuation,
      boolean ignoreNumbers) {
    static final Matching EXACT = new Matching(List.of(), false, false, false);

    boolean matches(String a, String b) {
      return plain(a).equals(plain(b));
    }

    private String plain(String text) {
      String plain = text;
      for (PythonRegex each : ignored) {
        plain = each.sub("", plain, 0);
      }
      // Arrays of texts, in which the harness compares them, drop NULs at the end.
      plain = plain.replaceFirst("\0+$", "");
      plain = ignoreCase ? plain.toLowerCase(Locale.ROOT) : plain;
      plain = ignorePunctuation ? PythonText.withoutPunctuation(plain) : plain;
      return ignoreNumbers ? plain.replaceAll("[0-9]", "") : plain;
    }
  }

  private record Default(String aggregation, boolean higherIsBetter, Set<OutputType> of) {}

  private static final Set<OutputType> CHOICE = Set.of(OutputType.MULTIPLE_CHOICE);
  private static final Set<OutputType> ROLLING = Set.of(OutputType.LOGLIKELIHOOD_ROLLING);

  private static final Map<String, Default> ALL =
      Map.ofEntries(
          Map.entry(
              "acc",
              new Default(
                  "mean", true, Set.of(OutputType.LOGLIKELIHOOD, OutputType.MULTIPLE_CHOICE))),
          Map.entry("acc_norm", new Default("mean", true, CHOICE)),
          Map.entry("acc_bytes", new Default("mean", true, CHOICE)),
          Map.entry("acc_mutual_info", new Default("mean", true, CHOICE)),
          Map.entry("f1", new Default("f1", true, CHOICE)),
          Map.entry("mcc", new Default("matthews_corrcoef", true, CHOICE)),
          Map.entry("brier_score", new Default("brier_score", false, CHOICE)),
          Map.entry(
              "exact_match",
              new Default(
                  "mean", true, Set.of(OutputType.MULTIPLE_CHOICE, OutputType.GENERATE_UNTIL))),
          Map.entry(
              "perplexity", new Default("perplexity", false, Set.of(OutputType.LOGLIKELIHOOD))),
          Map.entry("word_perplexity", new Default("weighted_perplexity", false, ROLLING)),
          Map.entry("byte_perplexity", new Default("weighted_perplexity", false, ROLLING)),
          Map.entry("bits_per_byte", new Default("bits_per_byte", false, ROLLING)));

  /** Returns a metric as it is where a task says nothing more of it. */
  static Metric of(String name) {
    TaskSettings settings = new TaskSettings(name, Map.of("metric", name), Map.of());
    Default standard = ALL.get(name);
    if (standard == null) {
      throw new IllegalArgumentException(name);
    }
    return new Metric(
        name, aggregation(settings, standard.aggregation), standard.higherIsBetter, Matching.EXACT);
  }

  /** Tells whether {@link #of(String)} knows a metric. */
  static boolean isKnown(String name) {
    return ALL.containsKey(name);
  }

  /** Returns a metric that a function of the task's measures and its file does not name. */
  static Metric mean(String name) {
    return new Metric(name, Aggregation.MEAN, true, Matching.EXACT);
  }

  /**
   * Reads an entry of {@code metric_list}.
   *
   * @param own whether a function of the task's measures it, so that any name will do
   */
  static Metric of(TaskSettings settings, OutputType output, boolean own) {
    settings.only(
        Set.of(
            "metric",
            "aggregation",
            "higher_is_better",
            "ignore_case",
            "ignore_punctuation",
            "ignore_numbers",
            "regexes_to_ignore"));
    String name = settings.text("metric");
    Default standard = name == null ? null : ALL.get(name);
    if (name == null || standard == null && !own) {
      throw settings.expected("metric", "one of " + new TreeSet<>(ALL.keySet()));
    }
    if (!own && standard != null && !standard.of.contains(output)) {
      throw settings.expected("metric", "a metric of " + output);
    }
    Aggregation aggregation;
    if (settings.has("aggregation")) {
      aggregation = Aggregation.named(settings, "aggregation");
    } else if (standard != null) {
      aggregation = aggregation(settings, standard.aggregation);
    } else {
      throw settings.expected("aggregation", "how the numbers of '" + name + "' become one");
    }
    return new Metric(
        name,
        aggregation,
        settings.flag("higher_is_better", standard == null || standard.higherIsBetter),
        matching(settings));
  }

  private static Aggregation aggregation(TaskSettings settings, String name) {
    return Aggregation.named(
        new TaskSettings(settings.place("metric"), Map.of("aggregation", name), Map.of()),
        "aggregation");
  }

  private static Matching matching(TaskSettings settings) {
    List<PythonRegex> ignored = new ArrayList<>();
    for (String each : settings.texts("regexes_to_ignore")) {
      try {
        ignored.add(PythonRegex.compile(each));
      } catch (InputException e) {
        throw e.withMessage(settings.place("regexes_to_ignore") + ": " + e.getMessage());
      }
    }
    return new Matching(
        ignored,
        settings.flag("ignore_case", false),
        settings.flag("ignore_punctuation", false),
        settings.flag("ignore_numbers", false));
  }
}
