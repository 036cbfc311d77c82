package dev.jneox.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.jneox.io.InputException;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.stream.DoubleStream;
import org.junit.jupiter.api.Test;

/** Expected numbers are those of lm-evaluation-harness 0.4.13. */
class AggregationTest {
  private static Aggregation named(String name) {
    return Aggregation.named(
        new TaskSettings("t", Map.of("aggregation", name), Map.of()), "aggregation");
  }

  private static List<Measured> values(double... values) {
    return DoubleStream.of(values).<Measured>mapToObj(Measured.Value::new).toList();
  }

  private static final List<Measured> LABELS =
      List.of(
          new Measured.Label(0, 1),
          new Measured.Label(1, 1),
          new Measured.Label(2, 0),
          new Measured.Label(1, 1),
          new Measured.Label(0, 0),
          new Measured.Label(2, 2));

  @Test
  void standardErrorsAreThoseOfTheSameDraws() {
    List<Measured> sums = values(-1.5, -0.25, -3.0, -2.0, -0.5);
    assertThat(named("perplexity").standardError(sums, 1000).getAsDouble())
        .isCloseTo(2.241628979359199, within(1e-12));
    assertThat(named("perplexity").standardError(sums, 2500).getAsDouble())
        .isCloseTo(2.283231858562565, within(1e-12));
    assertThat(named("median").standardError(sums, 100).getAsDouble())
        .isCloseTo(0.7261180859526055, within(1e-12));
    assertThat(named("matthews_corrcoef").standardError(LABELS, 100).getAsDouble())
        .isCloseTo(0.3078025463598235, within(1e-12));
    assertThat(named("mean").standardError(values(1, 0, 1, 1, 0), 1).getAsDouble())
        .isCloseTo(0.24494897427831783, within(1e-15));
  }

  @Test
  void thereIsNoErrorOfOneDocumentOrWithoutDrawsOrOfRatios() {
    assertThat(named("mean").standardError(values(1), 100)).isEqualTo(OptionalDouble.empty());
    assertThat(named("mean").standardError(values(1, 0), 0)).isEqualTo(OptionalDouble.empty());
    List<Measured> ratios = List.of(new Measured.Ratio(-1, 2), new Measured.Ratio(-3, 2));
    assertThat(named("bits_per_byte").standardError(ratios, 10)).isEqualTo(OptionalDouble.empty());
    assertThat(named("bits_per_byte").of().apply(ratios)).isEqualTo(1 / Math.log(2));
  }

  @Test
  void correlationAndF1AndBrierAreThoseOfScikitLearn() {
    assertThat(named("matthews_corrcoef").of().apply(LABELS))
        .isCloseTo(0.5222329678670935, within(1e-12));
    List<Measured> two =
        List.of(
            new Measured.Label(0, 1),
            new Measured.Label(1, 1),
            new Measured.Label(1, 0),
            new Measured.Label(1, 1));
    assertThat(named("f1").of().apply(two)).isCloseTo(2 / 3.0, within(1e-12));
    List<Measured> distributions =
        List.of(
            new Measured.Distribution(0, new double[] {.5, .3, .2}),
            new Measured.Distribution(2, new double[] {.1, .1, .8}));
    assertThat(named("brier_score").of().apply(distributions)).isCloseTo(0.22, within(1e-12));
  }

  @Test
  void whatDoesNotFitIsRefused() {
    assertThatThrownBy(() -> named("mean").of().apply(LABELS))
        .isInstanceOf(InputException.class)
        .hasMessage("expected a number of each document, found label");
    assertThatThrownBy(() -> named("f1").of().apply(LABELS)).isInstanceOf(InputException.class);
    assertThatThrownBy(() -> named("ter"))
        .isInstanceOf(InputException.class)
        .hasMessageStartingWith("t: aggregation: expected one of [bits_per_byte, ")
        .hasMessageEndingWith("found ter");
  }

  @Test
  void groupsPoolTheErrorsOfTheirTasks() {
    Group sized =
        new Group(
            "g", "g", "1", List.of("a", "b"), List.of(new Group.Sum("acc", null, true, false)));
    Group even =
        new Group(
            "g", "g", "1", List.of("a", "b"), List.of(new Group.Sum("acc", null, false, false)));
    Map<String, TaskResult> results =
        Map.of("a", result("a", 10, .5, .1), "b", result("b", 30, .9, .2));
    Score score = sized.scores(Map.of(), results).getFirst();
    assertThat(score.value()).isCloseTo(.8, within(1e-12));
    assertThat(score.standardError().getAsDouble()).isCloseTo(0.15325417483795722, within(1e-12));
    score = even.scores(Map.of(), results).getFirst();
    assertThat(score.value()).isCloseTo(.7, within(1e-12));
    assertThat(score.standardError().getAsDouble()).isCloseTo(0.1118033988749895, within(1e-12));
  }

  static TaskResult result(String name, int documents, double value, double error) {
    Score score = new Score("acc", "none", value, OptionalDouble.of(error), true);
    return new TaskResult(
        name, name, "1", 0, documents, documents, List.of(score), List.of(), Map.of(), Map.of());
  }
}
