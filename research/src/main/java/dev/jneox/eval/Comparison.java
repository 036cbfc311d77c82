package dev.jneox.eval;

import com.fasterxml.jackson.databind.JsonNode;
import dev.jneox.io.InputException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.Set;
import java.util.SplittableRandom;
import org.jspecify.annotations.Nullable;

/**
 * Compares two models on the tasks that both have results of, document by document, so that what
 * makes a document hard for both does not hide what they differ in.
 *
 * <p>Where each document is right or wrong, the test is McNemar's, exact: of the documents that one
 * model alone has right, do both have as many? Elsewhere it is a permutation test: the numbers of
 * the two are swapped at random within each document.
 *
 * @param a the first model
 * @param b the second model
 * @param rows a number each
 */
public record Comparison(ModelName a, ModelName b, List<Row> rows) {
  /** The seed of what is drawn. */
  public static final long SEED = 1234;

  /** How often numbers are swapped for a test. */
  public static final int PERMUTATIONS = 10_000;

  private static final int BOOTSTRAP = 1000;
  private static final Set<String> LABELS = Set.of("f1", "mcc");
  private static final Set<String> RATIOS =
      Set.of("word_perplexity", "byte_perplexity", "bits_per_byte");

  /** Says how a difference was tested. */
  public enum Test {
    /** Exact, of the documents that one model alone has right. */
    MCNEMAR,
    /** By swapping at random. */
    PERMUTATION,
    /** Not at all: the results do not have the numbers of documents. */
    NONE
  }

  /**
   * Compares two numbers.
   *
   * @param documents that both have
   * @param a of the first model
   * @param b of the second model
   * @param standardError of {@code b - a}, paired
   * @param p the probability of a difference so large, if the models were equally good
   * @param onlyA documents that the first model alone has right
   * @param onlyB documents that the second model alone has right
   */
  public record Row(
      String task,
      String alias,
      String metric,
      String filter,
      boolean higherIsBetter,
      int documents,
      double a,
      double b,
      OptionalDouble standardError,
      OptionalDouble p,
      Test test,
      int onlyA,
      int onlyB) {
    /** Returns the second number minus the first. */
    public double difference() {
      return b - a;
    }
  }

  /** Copies the list. */
  public Comparison {
    rows = List.copyOf(rows);
  }

  /**
   * Compares results.
   *
   * @throws InputException if they have no task in common, or one on other documents
   */
  public static Comparison of(SavedResults a, SavedResults b) {
    List<Row> rows = new ArrayList<>();
    Map<String, ModelScores.Entry> others = new LinkedHashMap<>();
    b.scores().entries().forEach(entry -> others.put(key(entry), entry));
    String task = "";
    Map<String, Map<Long, JsonNode>> ofA = Map.of();
    Map<String, Map<Long, JsonNode>> ofB = Map.of();
    for (ModelScores.Entry entry : a.scores().entries()) {
      ModelScores.Entry other = others.get(key(entry));
      if (other == null) {
        continue;
      }
      if (!task.equals(entry.task())) {
        task = entry.task();
        ofA = documents(a.samples().get(task));
        ofB = documents(b.samples().get(task));
        requireSame(a, b, task, ofA, ofB);
      }
      Map<Long, JsonNode> left = ofA.getOrDefault(entry.score().filter(), Map.of());
      Map<Long, JsonNode> right = ofB.getOrDefault(entry.score().filter(), Map.of());
      rows.add(row(entry, other.score(), left, right));
    }
    if (rows.isEmpty()) {
      throw new InputException(
          a.folder() + " and " + b.folder() + ": expected results of the same tasks, found none");
    }
    return new Comparison(a.model(), b.model(), rows);
  }

  private static String key(ModelScores.Entry entry) {
    return entry.task() + "\n" + entry.score().key();
  }

  /** Reads the documents of a task by filter and number. */
  private static Map<String, Map<Long, JsonNode>> documents(@Nullable Path file) {
    Map<String, Map<Long, JsonNode>> all = new LinkedHashMap<>();
    if (file != null) {
      SavedResults.samples(
          file,
          line ->
              all.computeIfAbsent(line.path("filter").asText(""), _ -> new LinkedHashMap<>())
                  .put(line.path("doc_id").asLong(-1), line));
    }
    return all;
  }

  private static void requireSame(
      SavedResults a,
      SavedResults b,
      String task,
      Map<String, Map<Long, JsonNode>> ofA,
      Map<String, Map<Long, JsonNode>> ofB) {
    ofA.forEach(
        (filter, documents) ->
            documents.forEach(
                (number, line) -> {
                  JsonNode other = ofB.getOrDefault(filter, Map.of()).get(number);
                  if (other != null
                      && !other
                          .path("doc_hash")
                          .asText("")
                          .equals(line.path("doc_hash").asText(""))) {
                    throw new InputException(
                        "task "
                            + task
                            + ": document "
                            + number
                            + ": expected the same in "
                            + a.folder()
                            + " and "
                            + b.folder()
                            + ", found two: they were evaluated on other data");
                  }
                }));
  }

  private static Row row(
      ModelScores.Entry entry, Score other, Map<Long, JsonNode> left, Map<Long, JsonNode> right) {
    Score score = entry.score();
    List<Measured> a = new ArrayList<>();
    List<Measured> b = new ArrayList<>();
    boolean known = !left.isEmpty();
    for (Map.Entry<Long, JsonNode> each : left.entrySet()) {
      JsonNode second = right.get(each.getKey());
      if (second != null) {
        Measured ofA = measured(score.metric(), each.getValue());
        Measured ofB = measured(score.metric(), second);
        if (ofA == null || ofB == null) {
          known = false;
        } else {
          a.add(ofA);
          b.add(ofB);
        }
      }
    }
    OptionalDouble error = OptionalDouble.empty();
    OptionalDouble p = OptionalDouble.empty();
    Test test = Test.NONE;
    int onlyA = 0;
    int onlyB = 0;
    // Of other documents of the two, their own numbers would not be those that are tested.
    if (known && a.size() > 1 && a.size() == left.size() && a.size() == right.size()) {
      Aggregation aggregation = aggregation(score.metric());
      error = OptionalDouble.of(standardError(aggregation, a, b));
      if (isRightOrWrong(a) && isRightOrWrong(b)) {
        test = Test.MCNEMAR;
        for (int i = 0; i < a.size(); i++) {
          onlyA += value(a, i) > value(b, i) ? 1 : 0;
          onlyB += value(a, i) < value(b, i) ? 1 : 0;
        }
        p = OptionalDouble.of(mcnemar(onlyA, onlyB));
      } else {
        test = Test.PERMUTATION;
        p = OptionalDouble.of(permutation(aggregation, a, b));
      }
    }
    return new Row(
        entry.task(),
        entry.alias(),
        score.metric(),
        score.filter(),
        score.higherIsBetter(),
        a.size(),
        score.value(),
        other.value(),
        error,
        p,
        test,
        onlyA,
        onlyB);
  }

  /** Returns what a document adds to a metric; null where the line does not say it. */
  private static @Nullable Measured measured(String metric, JsonNode line) {
    JsonNode value = line.path(metric);
    if (value.isNumber()) {
      return new Measured.Value(value.doubleValue());
    }
    if (value.size() == 2 && value.get(0).isNumber() && value.get(1).isNumber()) {
      if (LABELS.contains(metric)) {
        return new Measured.Label(value.get(0).longValue(), value.get(1).longValue());
      }
      if (RATIOS.contains(metric)) {
        return new Measured.Ratio(value.get(0).doubleValue(), value.get(1).doubleValue());
      }
    }
    return null;
  }

  private static Aggregation aggregation(String metric) {
    return Metric.isKnown(metric) ? Metric.of(metric).aggregation() : Aggregation.MEAN;
  }

  private static double value(List<Measured> all, int i) {
    return all.get(i) instanceof Measured.Value(double value) ? value : Double.NaN;
  }

  private static boolean isRightOrWrong(List<Measured> all) {
    return all.stream()
        .allMatch(each -> each instanceof Measured.Value(double v) && (v == 0 || v == 1));
  }

  /**
   * Returns the two-sided p of McNemar's exact test: that of a fair coin.
   *
   * @param onlyA documents that one model alone has right
   * @param onlyB those that the other one alone has right
   */
  static double mcnemar(int onlyA, int onlyB) {
    int n = onlyA + onlyB;
    int least = Math.min(onlyA, onlyB);
    double log = -n * Math.log(2); // of the probability of i heads
    double sum = 0;
    for (int i = 0; i <= least; i++) {
      sum += Math.exp(log);
      log += Math.log(n - i) - Math.log(i + 1);
    }
    return Math.min(1, 2 * sum);
  }

  private static boolean isMean(Aggregation aggregation) {
    return aggregation.equals(Aggregation.MEAN);
  }

  private static double[] differences(List<Measured> a, List<Measured> b) {
    double[] differences = new double[a.size()];
    Arrays.setAll(differences, i -> value(b, i) - value(a, i));
    return differences;
  }

  /** Returns the standard error of the difference: of means by a formula, of others drawn. */
  static double standardError(Aggregation aggregation, List<Measured> a, List<Measured> b) {
    int n = a.size();
    if (isMean(aggregation)) {
      return deviation(differences(a, b)) / Math.sqrt(n);
    }
    SplittableRandom random = new SplittableRandom(SEED);
    double[] drawn = new double[BOOTSTRAP];
    List<Measured> ofA = new ArrayList<>(a);
    List<Measured> ofB = new ArrayList<>(b);
    for (int k = 0; k < drawn.length; k++) {
      for (int i = 0; i < n; i++) {
        int place = random.nextInt(n);
        ofA.set(i, a.get(place));
        ofB.set(i, b.get(place));
      }
      drawn[k] = aggregation.of().apply(ofB) - aggregation.of().apply(ofA);
    }
    return deviation(drawn);
  }

  private static double deviation(double[] values) {
    double mean = Arrays.stream(values).sum() / values.length;
    double squares = Arrays.stream(values).map(v -> (v - mean) * (v - mean)).sum();
    return Math.sqrt(squares / (values.length - 1));
  }

  /** Returns the two-sided p of a permutation test. */
  static double permutation(Aggregation aggregation, List<Measured> a, List<Measured> b) {
    SplittableRandom random = new SplittableRandom(SEED);
    double[] differences = isMean(aggregation) ? differences(a, b) : new double[0];
    double observed =
        isMean(aggregation)
            ? Math.abs(Arrays.stream(differences).sum())
            : Math.abs(aggregation.of().apply(b) - aggregation.of().apply(a));
    double bound = observed * (1 - 1e-12); // sums in another order
    int extreme = 0;
    List<Measured> ofA = new ArrayList<>(a);
    List<Measured> ofB = new ArrayList<>(b);
    for (int k = 0; k < PERMUTATIONS; k++) {
      double drawn;
      if (isMean(aggregation)) {
        double sum = 0;
        for (double each : differences) {
          sum += random.nextBoolean() ? each : -each;
        }
        drawn = sum;
      } else {
        for (int i = 0; i < a.size(); i++) {
          boolean swapped = random.nextBoolean();
          ofA.set(i, swapped ? b.get(i) : a.get(i));
          ofB.set(i, swapped ? a.get(i) : b.get(i));
        }
        drawn = aggregation.of().apply(ofB) - aggregation.of().apply(ofA);
      }
      extreme += Math.abs(drawn) >= bound ? 1 : 0;
    }
    return (extreme + 1.0) / (PERMUTATIONS + 1.0);
  }

  /** Returns the comparison as a Markdown table, the names of the models above it. */
  public String table() {
    MarkdownTable table =
        new MarkdownTable(
            List.of("Tasks", "Metric", "", "n", "A", "B", "B-A", "±", "p"),
            Set.of(3, 4, 5, 6, 7, 8));
    String last = "";
    for (Row row : rows) {
      table.add(
          row.alias.equals(last) ? "" : row.alias,
          row.filter.equals("none") ? row.metric : row.metric + "," + row.filter,
          row.higherIsBetter ? "↑" : "↓",
          String.valueOf(row.documents),
          ResultTable.number(row.a),
          ResultTable.number(row.b),
          String.format(Locale.ROOT, "%+.4f", row.difference()),
          row.standardError.isPresent()
              ? ResultTable.number(row.standardError.getAsDouble())
              : "N/A",
          probability(row.p));
      last = row.alias;
    }
    return "A: " + a.name() + "\nB: " + b.name() + "\n\n" + table.text();
  }

  /** Returns how the differences were tested, in words. */
  public String method() {
    return String.format(
        Locale.ROOT,
        "±: the standard error of B-A, paired.%n"
            + "p: McNemar's exact test where a document is right or wrong, else a permutation%n"
            + "test, %d draws, seed %d.",
        PERMUTATIONS,
        SEED);
  }

  static String probability(OptionalDouble p) {
    if (p.isEmpty()) {
      return "N/A";
    }
    double value = p.getAsDouble();
    return value < 0.0001 ? "<0.0001" : String.format(Locale.ROOT, "%.4f", value);
  }

  /** Returns the comparison as values of JSON. */
  public Map<String, Object> json() {
    List<Map<String, Object>> all = new ArrayList<>();
    for (Row row : rows) {
      Map<String, Object> of = new LinkedHashMap<>();
      of.put("task", row.task);
      of.put("metric", row.metric + "," + row.filter);
      of.put("documents", row.documents);
      of.put("a", ResultFiles.number(row.a));
      of.put("b", ResultFiles.number(row.b));
      of.put("difference", ResultFiles.number(row.difference()));
      of.put("stderr", boxed(row.standardError));
      of.put("p", boxed(row.p));
      of.put("test", row.test.name().toLowerCase(Locale.ROOT));
      of.put("only_a", row.onlyA);
      of.put("only_b", row.onlyB);
      all.add(of);
    }
    Map<String, Object> report = new LinkedHashMap<>();
    report.put("a", a.name());
    report.put("b", b.name());
    report.put("seed", SEED);
    report.put("permutations", PERMUTATIONS);
    report.put("comparison", all);
    return report;
  }

  private static Object boxed(OptionalDouble value) {
    return value.isPresent() ? ResultFiles.number(value.getAsDouble()) : "N/A";
  }
}
