package dev.jneox.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.jneox.train.LossCurve.Point;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.stream.IntStream;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.DoubleRange;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.Test;

class LossCurveTest {
  private static Trainer.Step step(int iteration, double loss, boolean skipped) {
    return new Trainer.Step(iteration, loss, 1e-3, 1, 2048, skipped, 100, 2, 6e9, 0, 0);
  }

  @Test
  void aRunIsRecordedByTokensAndItsTestIsLeftOut() {
    LossCurve.Recorder recorder = new LossCurve.Recorder(100);
    recorder.afterStep(null, step(1, 9, false));
    recorder.afterStep(null, step(2, Double.NaN, true));
    recorder.afterEvaluation("validation", 2, 8);
    recorder.afterEvaluation("test", 2, 7);
    LossCurve curve = recorder.curve();
    assertThat(curve.training()).containsExactly(new Point(100, 9), new Point(200, Double.NaN));
    assertThat(curve.validation()).containsExactly(new Point(200, 8));
    assertThat(curve.finite().training()).containsExactly(new Point(100, 9));
  }

  @Test
  void aWindowIsTheMeanOfStepsThatWereNotSkipped() {
    StepWindow window = new StepWindow();
    window.add(step(1, 9, false));
    window.add(step(2, Double.NaN, true));
    Trainer.Step last = step(3, 7, false);
    window.add(last);
    StepWindow.Summary summary = window.take();
    assertThat(summary.loss()).hasValue(8);
    assertThat(summary.skipped()).isEqualTo(1);
    assertThat(summary.tokensPerSecond()).isEqualTo(50);
    assertThat(summary.flopsPerSecond()).isEqualTo(3e9);
    window.add(step(4, 6, false));
    assertThat(window.take().loss()).hasValue(6);
    window.add(step(5, Double.NaN, true));
    assertThat(window.take().loss()).isEmpty();
  }

  @Test
  void aForecastHoldsTheOperationsAgainstTheMachine() {
    assertThat(new Forecast(10, 6e12).seconds(1e12)).isCloseTo(10, within(1e-9));
  }

  @Property
  void aLocalMeanStaysWithinTheValuesAndKeepsTheEnds(
      @ForAll @Size(min = 1, max = 400) List<@DoubleRange(min = -9, max = 9) Double> losses) {
    double[] values = losses.stream().mapToDouble(loss -> loss).toArray();
    double[] means = LossCurve.localMean(values);
    assertThat(means).hasSameSizeAs(values);
    assertThat(means[0]).isCloseTo(values[0], within(1e-9));
    assertThat(means[means.length - 1]).isCloseTo(values[values.length - 1], within(1e-9));
    double least = Collections.min(losses) - 1e-9;
    double most = Collections.max(losses) + 1e-9;
    assertThat(Arrays.stream(means)).allMatch(mean -> mean >= least && mean <= most);
  }

  @Test
  void aLocalMeanAveragesBothSides() {
    double[] line = IntStream.range(0, 800).mapToDouble(i -> i).toArray();
    assertThat(LossCurve.localMean(line)).containsExactly(line, within(1e-6));
    double[] spike = new double[800];
    spike[400] = 21;
    assertThat(LossCurve.localMean(spike)[390]).isCloseTo(1, within(1e-9));
    assertThat(LossCurve.localMean(spike)[389]).isZero();
  }
}
