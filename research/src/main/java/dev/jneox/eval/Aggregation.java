package dev.jneox.eval;

import dev.jneox.data.PythonRandom;
import dev.jneox.io.InputException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.TreeSet;
import java.util.stream.IntStream;

/**
 * Makes one number of what all documents add to a metric, as lm-evaluation-harness does.
 *
 * @param name in task files
 * @param bootstrapped whether the standard error is that of samples drawn again, because no formula
 *     gives it
 */
record Aggregation(String name, TaskFunction.OfMeasured of, boolean bootstrapped) {
  static final Aggregation MEAN = new Aggregation("mean", Aggregation::mean, false);

  private static final Map<String, Aggregation> ALL =
      Map.ofEntries(
          entry(MEAN),
          entry(new Aggregation("nanmean", Aggregation::nanMean, true)),
          entry(new Aggregation("median", Aggregation::median, true)),
          entry(new Aggregation("perplexity", all -> Math.exp(-mean(all)), true)),
          entry(new Aggregation("weighted_perplexity", all -> Math.exp(-ratio(all)), false)),
          entry(new Aggregation("bits_per_byte", all -> -ratio(all) / Math.log(2), false)),
          entry(new Aggregation("f1", Aggregation::f1, true)),
          entry(new Aggregation("matthews_corrcoef", Aggregation::correlation, true)),
          entry(new Aggregation("brier_score", Aggregation::brier, false)));

  /** Samples drawn with one seed; the seeds count from 0. */
  private static final int CHUNK = 1000;

  private static Map.Entry<String, Aggregation> entry(Aggregation aggregation) {
    return Map.entry(aggregation.name, aggregation);
  }

  static Aggregation named(TaskSettings settings, String key) {
    if (settings.value(key) instanceof FunctionName name) {
      return new Aggregation(
          name.name(), settings.function(key, TaskFunction.OfMeasured.class), false);
    }
    Aggregation named = ALL.get(settings.text(key, ""));
    if (named == null) {
      throw settings.expected(key, "one of " + new TreeSet<>(ALL.keySet()));
    }
    return named;
  }

  /**
   * Returns the standard error of the aggregate: of a mean the standard deviation of the sample
   * divided by the square root of its size, of others that of {@code iterations} samples of the
   * same size drawn with replacement.
   *
   * @return empty for fewer than two documents, for no iterations, and where the harness gives none
   */
  OptionalDouble standardError(List<Measured> measured, int iterations) {
    if (measured.size() < 2 || iterations < 1) {
      return OptionalDouble.empty();
    }
    if (this == MEAN) {
      double[] values = values(measured);
      return OptionalDouble.of(deviation(values) / Math.sqrt(values.length));
    }
    return bootstrapped
        ? OptionalDouble.of(bootstrap(measured, iterations))
        : OptionalDouble.empty();
  }

  private double bootstrap(List<Measured> measured, int iterations) {
    int chunk = Math.min(CHUNK, iterations);
    int chunks = iterations / chunk;
    double[] drawn = new double[chunks * chunk];
    IntStream.range(0, chunks)
        .parallel()
        .forEach(
            seed -> {
              PythonRandom random = new PythonRandom(seed);
              List<Measured> sample = new ArrayList<>(measured);
              for (int i = 0; i < chunk; i++) {
                int[] places = random.choices(measured.size(), measured.size());
                for (int k = 0; k < places.length; k++) {
                  sample.set(k, measured.get(places[k]));
                }
                drawn[seed * chunk + i] = of.apply(sample);
              }
            });
    return deviation(drawn);
  }

  private static double deviation(double[] values) {
    double mean = Arrays.stream(values).sum() / values.length;
    double squares = 0;
    for (double value : values) {
      squares += (value - mean) * (value - mean);
    }
    return Math.sqrt(squares / (values.length - 1));
  }

  private static InputException expected(String what, Measured found) {
    return new InputException(
        "expected "
            + what
            + " of each document, found "
            + found.getClass().getSimpleName().toLowerCase(Locale.ROOT));
  }

  private static double[] values(List<Measured> all) {
    double[] values = new double[all.size()];
    for (int i = 0; i < values.length; i++) {
      if (!(all.get(i) instanceof Measured.Value(double value))) {
        throw expected("a number", all.get(i));
      }
      values[i] = value;
    }
    return values;
  }

  private static double mean(List<Measured> all) {
    double sum = 0;
    for (Measured each : all) {
      if (!(each instanceof Measured.Value(double value))) {
        throw expected("a number", each);
      }
      sum += value;
    }
    return sum / all.size();
  }

  private static double nanMean(List<Measured> all) {
    return Arrays.stream(values(all))
        .filter(value -> !Double.isNaN(value))
        .average()
        .orElse(Double.NaN);
  }

  private static double median(List<Measured> all) {
    double[] values = values(all);
    Arrays.sort(values);
    return values[values.length / 2];
  }

  private static double ratio(List<Measured> all) {
    double sum = 0;
    double weights = 0;
    for (Measured each : all) {
      if (!(each instanceof Measured.Ratio(double value, double weight))) {
        throw expected("a number and what it is divided by", each);
      }
      sum += value;
      weights += weight;
    }
    return sum / weights;
  }

  private static Measured.Label label(Measured measured) {
    if (measured instanceof Measured.Label label) {
      return label;
    }
    throw expected("a class and the one chosen", measured);
  }

  /** Returns F1 of the class 1, as scikit-learn computes it of two classes. */
  private static double f1(List<Measured> all) {
    long hits = 0;
    long errors = 0;
    for (Measured each : all) {
      Measured.Label label = label(each);
      if (label.gold() < 0 || label.gold() > 1 || label.predicted() < 0 || label.predicted() > 1) {
        throw new InputException(
            "f1: expected the classes 0 and 1, found "
                + label.gold()
                + " and "
                + label.predicted());
      }
      hits += label.gold() == 1 && label.predicted() == 1 ? 1 : 0;
      errors += label.gold() != label.predicted() ? 1 : 0;
    }
    return hits == 0 ? 0 : 2.0 * hits / (2 * hits + errors);
  }

  /** Returns Matthews' correlation of any number of classes; 0 where one side has a single one. */
  private static double correlation(List<Measured> all) {
    long[] classes =
        all.stream()
            .map(Aggregation::label)
            .flatMapToLong(label -> java.util.stream.LongStream.of(label.gold(), label.predicted()))
            .distinct()
            .sorted()
            .toArray();
    double[] golds = new double[classes.length];
    double[] predictions = new double[classes.length];
    double right = 0;
    for (Measured each : all) {
      Measured.Label label = label(each);
      golds[Arrays.binarySearch(classes, label.gold())]++;
      predictions[Arrays.binarySearch(classes, label.predicted())]++;
      right += label.gold() == label.predicted() ? 1 : 0;
    }
    double n = all.size();
    double both = right * n - dot(golds, predictions);
    double predicted = n * n - dot(predictions, predictions);
    double gold = n * n - dot(golds, golds);
    return predicted * gold == 0 ? 0 : both / Math.sqrt(predicted * gold);
  }

  private static double dot(double[] a, double[] b) {
    double sum = 0;
    for (int i = 0; i < a.length; i++) {
      sum += a[i] * b[i];
    }
    return sum;
  }

  private static double brier(List<Measured> all) {
    double sum = 0;
    for (Measured each : all) {
      if (!(each instanceof Measured.Distribution(int gold, double[] probabilities))) {
        throw expected("a class and the probabilities of all", each);
      }
      for (int i = 0; i < probabilities.length; i++) {
        double difference = probabilities[i] - (i == gold ? 1 : 0);
        sum += difference * difference;
      }
    }
    return sum / all.size();
  }
}
