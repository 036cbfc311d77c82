package dev.jneox.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.jneox.io.InputException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ComparisonTest {
  @TempDir private Path folder;

  /** By scipy.stats.binomtest. */
  @ParameterizedTest
  @CsvSource({
    "1, 9, 0.021484375",
    "9, 1, 0.021484375",
    "5, 5, 1.0",
    "0, 6, 0.03125",
    "0, 0, 1.0",
    "30, 50, 0.03299261842647619",
    "1200, 1350, 0.003163536948938072"
  })
  void mcnemarIsTheTestOfAFairCoin(int onlyA, int onlyB, double p) {
    assertThat(Comparison.mcnemar(onlyA, onlyB)).isCloseTo(p, within(1e-9));
  }

  private static List<Measured> values(double... values) {
    return Arrays.stream(values).mapToObj(v -> (Measured) new Measured.Value(v)).toList();
  }

  /** All the ways to swap ten pairs, counted. */
  @Test
  void aPermutationTestDrawsFromAllWaysToSwap() {
    double[] a = {-3.1, -2.0, -7.5, -1.2, -4.4, -3.3, -2.8, -6.1, -0.9, -5.0};
    double[] b = {-2.9, -2.1, -6.8, -1.0, -4.1, -3.4, -2.2, -5.6, -1.0, -4.3};
    double observed = 0;
    for (int i = 0; i < a.length; i++) {
      observed += b[i] - a[i];
    }
    int extreme = 0;
    for (int ways = 0; ways < 1 << a.length; ways++) {
      double sum = 0;
      for (int i = 0; i < a.length; i++) {
        sum += (ways >> i & 1) == 0 ? b[i] - a[i] : a[i] - b[i];
      }
      extreme += Math.abs(sum) >= Math.abs(observed) - 1e-9 ? 1 : 0;
    }
    double exact = extreme / 1024.0;
    assertThat(exact).isBetween(0.01, 0.05);
    assertThat(Comparison.permutation(Aggregation.MEAN, values(a), values(b)))
        .isCloseTo(exact, within(0.006)) // three standard errors of 10,000 draws
        .isEqualTo(Comparison.permutation(Aggregation.MEAN, values(a), values(b)));
    // Of a mean, a perplexity is larger where the mean is: it has the same p, drawn alike.
    Aggregation perplexity = Metric.of("perplexity").aggregation();
    assertThat(Comparison.permutation(perplexity, values(a), values(b)))
        .isCloseTo(exact, within(0.006));
  }

  @Test
  void standardErrorsArePaired() {
    List<Measured> a = values(0, 1, 5, 9);
    List<Measured> b = values(1, 2, 6, 12);
    // Differences 1, 1, 1, 3: their deviation is 1.
    assertThat(Comparison.standardError(Aggregation.MEAN, a, b)).isEqualTo(0.5);
    List<Measured> words = new ArrayList<>();
    List<Measured> more = new ArrayList<>();
    for (int i = 1; i < 40; i++) {
      words.add(new Measured.Ratio(-3.0 * i, i));
      more.add(new Measured.Ratio(-2.0 * i, i));
    }
    Aggregation bits = Metric.of("bits_per_byte").aggregation();
    assertThat(Comparison.standardError(bits, words, more)).isCloseTo(0, within(1e-12));
    assertThat(Comparison.permutation(bits, words, more)).isLessThan(0.001);
  }

  private SavedResults results(String model, String hash, int... right) throws IOException {
    Path out = Files.createDirectories(folder.resolve(model));
    double acc = Arrays.stream(right).average().orElseThrow();
    Files.writeString(
        out.resolve("results_2026-01-01.json"),
        """
        {"results": {"t": {"alias": "t", "acc,none": %s, "acc_stderr,none": 0.1}},
         "higher_is_better": {"t": {"acc": true}}, "chance": {"t": 0.5}, "model_name": "%s"}
        """
            .formatted(acc, model));
    StringBuilder lines = new StringBuilder();
    for (int i = 0; i < right.length; i++) {
      lines.append(
          """
          {"doc_id": %d, "filter": "none", "doc_hash": "%s%d", "metrics": ["acc"], "acc": %d}
          """
              .formatted(i, hash, i, right[i]));
    }
    Files.writeString(out.resolve("samples_t_2026-01-01.jsonl"), lines.toString());
    return SavedResults.read(out);
  }

  @Test
  void rightAndWrongIsComparedByMcnemar() throws IOException {
    SavedResults a = results("a", "h", 1, 1, 0, 0, 0, 0, 0, 0, 0, 1);
    SavedResults b = results("b", "h", 1, 0, 1, 1, 1, 1, 1, 1, 0, 1);
    Comparison comparison = Comparison.of(a, b);
    assertThat(comparison.rows()).hasSize(1);
    Comparison.Row row = comparison.rows().getFirst();
    assertThat(row.test()).isEqualTo(Comparison.Test.MCNEMAR);
    assertThat(row.onlyA()).isEqualTo(1);
    assertThat(row.onlyB()).isEqualTo(6);
    assertThat(row.p().orElseThrow()).isCloseTo(0.125, within(1e-12));
    assertThat(row.difference()).isCloseTo(0.5, within(1e-12));
    assertThat(row.standardError().orElseThrow())
        .isCloseTo(Math.sqrt((7 - 25 / 10.0) / 9 / 10), within(1e-12));
    assertThat(comparison.table())
        .startsWith("A: a\nB: b\n\n|Tasks|Metric| | n|     A|     B|    B-A|     ±|     p|\n")
        .contains("|t    |acc   |↑|10|0.3000|0.8000|+0.5000|0.2236|0.1250|");
  }

  @Test
  void otherDocumentsAreRefused() throws IOException {
    SavedResults a = results("a", "h", 1, 0);
    SavedResults b = results("b", "other", 1, 1);
    assertThatThrownBy(() -> Comparison.of(a, b))
        .isInstanceOf(InputException.class)
        .hasMessageStartingWith("task t: document 0: expected the same in ")
        .hasMessageEndingWith("found two: they were evaluated on other data");
  }

  @Test
  void aFolderWithoutResultsIsNamed() throws IOException {
    assertThatThrownBy(() -> SavedResults.read(folder.resolve("no")))
        .hasMessageContaining("expected a folder with the results of a model")
        .hasMessageEndingWith("found no such folder");
    assertThatThrownBy(() -> SavedResults.read(folder)).hasMessageEndingWith("found none");
    results("a", "h", 1, 0);
    assertThat(SavedResults.read(folder).model().name()).isEqualTo("a");
    results("b", "h", 1, 0);
    assertThatThrownBy(() -> SavedResults.read(folder))
        .hasMessageEndingWith("2 models: give the folder of one, such as " + folder.resolve("a"));
    Files.writeString(folder.resolve("b/results_2026-01-02.json"), "{}");
    assertThatThrownBy(() -> SavedResults.read(folder.resolve("b")))
        .hasMessageContaining("results_2026-01-02.json: results: expected the numbers of tasks");
    Files.writeString(folder.resolve("a/samples_t_2026-01-01.jsonl"), "{\n");
    SavedResults a = SavedResults.read(folder.resolve("a"));
    assertThatThrownBy(() -> Comparison.of(a, a))
        .hasMessageContaining("samples_t_2026-01-01.jsonl: line 1: expected an object of JSON");
  }
}
