package dev.jneox.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.io.DivergedException;
import dev.jneox.train.LossScaler.State;
import java.util.List;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import org.junit.jupiter.api.Test;

class LossScalerTest {
  private static final LossScaler RULES = new LossScaler(4096, 4, 2, 1, false, true);

  private static State run(LossScaler rules, State state, String steps) {
    for (char step : steps.toCharArray()) {
      state = rules.after(state, step == 'x');
    }
    return state;
  }

  private static State run(String steps) {
    return run(RULES, RULES.start(), steps);
  }

  @Test
  void cleanStepsDoubleTheScaleEveryWindow() {
    assertThat(run("...").scale()).isEqualTo(4096);
    assertThat(run("....").scale()).isEqualTo(8192);
    assertThat(run(".......").scale()).isEqualTo(8192);
    assertThat(run("........").scale()).isEqualTo(16384);
  }

  @Test
  void hysteresisForgivesTheFirstOverflow() {
    assertThat(run("x")).isEqualTo(new State(4096, 1, 1, 0, 1));
    assertThat(run("xx")).isEqualTo(new State(2048, 1, 2, 1, 2));
    assertThat(run("xxx")).isEqualTo(new State(1024, 1, 3, 2, 3));
    assertThat(run("x.x.x").scale())
        .as("clean steps short of a window refill nothing")
        .isEqualTo(1024);
  }

  @Test
  void aWindowOfCleanStepsRefillsTheHysteresis() {
    assertThat(run("xx....")).isEqualTo(new State(4096, 2, 6, 1, 0));
    assertThat(run("xx....x")).isEqualTo(new State(4096, 1, 7, 6, 1));
  }

  @Test
  void theWindowCountsFromTheLastOverflow() {
    assertThat(run("..x...").scale()).isEqualTo(4096);
    assertThat(run("..x....").scale()).isEqualTo(8192);
  }

  @Test
  void consecutiveHysteresisIsRefilledByEveryCleanStep() {
    LossScaler rules = new LossScaler(4096, 100, 2, 1, true, true);
    assertThat(run(rules, rules.start(), "x.x.x.x.").scale()).isEqualTo(4096);
    assertThat(run(rules, rules.start(), "xx").scale()).isEqualTo(2048);
  }

  @Test
  void theScaleStopsAtTheMinimumAndTheNextOverflowEndsTheRun() {
    LossScaler rules = new LossScaler(4, 1000, 1, 3, false, true);
    State lowest = run(rules, rules.start(), "x");
    assertThat(lowest.scale()).isEqualTo(3);
    assertThatThrownBy(() -> rules.after(lowest, true))
        .isInstanceOfSatisfying(
            DivergedException.class, e -> assertThat(e.iteration()).isEqualTo(2))
        .hasMessageStartingWith("step 1: gradients overflow at the minimum loss scale 3.0");
  }

  @Test
  void aFixedScaleOnlyCountsSkips() {
    LossScaler fixed = LossScaler.fixed(128);
    State state = run(fixed, fixed.start(), "..........xxx");
    assertThat(state.scale()).isEqualTo(128);
    assertThat(state.skips()).isEqualTo(3);
    assertThat(fixed.after(state, false).skips()).isZero();
  }

  /** DeepSpeed's rule once more, as counters instead of iterations. */
  @Property
  void equalsARestatementWithCounters(@ForAll List<Boolean> overflows) {
    LossScaler rules = new LossScaler(Math.scalb(1.0, 200), 3, 2, 1, false, true);
    State state = rules.start();
    double scale = state.scale();
    int clean = 0;
    int left = 2;
    int skips = 0;
    for (boolean overflow : overflows) {
      state = rules.after(state, overflow);
      if (overflow) {
        scale = left == 1 ? scale / 2 : scale;
        left = 1;
        clean = 0;
        skips++;
      } else {
        skips = 0;
        clean++;
        if (clean % 3 == 0) {
          scale *= 2;
          left = 2;
        }
      }
      assertThat(state.scale()).isEqualTo(scale);
      assertThat(state.hysteresisLeft()).isEqualTo(left);
      assertThat(state.skips()).isEqualTo(skips);
    }
  }
}
