package dev.jneox.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.jneox.io.InputException;
import dev.jneox.train.LearningRate.Style;
import dev.jneox.train.LearningRate.Version;
import java.io.IOException;
import java.io.InputStream;
import java.util.Locale;
import net.jqwik.api.EdgeCasesMode;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.DoubleRange;
import net.jqwik.api.constraints.LongRange;
import org.junit.jupiter.api.Test;

class LearningRateTest {

  /** Values computed by GPT-NeoX's own classes of both versions. */
  @Test
  void equalsTheReferenceValues() throws IOException {
    JsonNode versions;
    try (InputStream in = LearningRateTest.class.getResourceAsStream("/learning-rates.json")) {
      versions = new ObjectMapper().readTree(in);
    }
    int checked = 0;
    for (Version version : Version.values()) {
      for (JsonNode one : versions.get(version.toString())) {
        LearningRate schedule =
            new LearningRate(
                version,
                Style.valueOf(one.get("style").asText().toUpperCase(Locale.ROOT)),
                one.get("lr").asDouble(),
                one.get("min_lr").asDouble(),
                one.get("warmup_iters").asDouble(),
                one.get("decay_iters").asLong());
        for (var at : one.get("lr_at").properties()) {
          double expected = at.getValue().asDouble();
          assertThat(schedule.at(Long.parseLong(at.getKey())))
              .as("%s at %s", schedule, at.getKey())
              .isCloseTo(expected, within(1e-12 * expected));
          checked++;
        }
      }
    }
    assertThat(checked).isEqualTo(188);
  }

  @Test
  void theFirstVersionStartsAtZeroAndTheSecondRepeatsItsFirstRate() {
    LearningRate first = new LearningRate(Version.V1_0, Style.COSINE, 1, 0, 10, 100);
    LearningRate second = new LearningRate(Version.V2, Style.COSINE, 1, 0, 10, 100);
    assertThat(first.at(0)).isZero();
    assertThat(second.at(0)).isEqualTo(second.at(1)).isEqualTo(0.1);
    assertThat(first.at(10)).isEqualTo(second.at(10)).isEqualTo(1);
  }

  @Test
  void theSecondVersionsCosineRisesPastItsEnd() {
    LearningRate second = new LearningRate(Version.V2, Style.COSINE, 1, 0.1, 0, 100);
    assertThat(second.at(100)).isEqualTo(0.1);
    assertThat(second.at(200)).isCloseTo(1, within(1e-12));
    LearningRate first = new LearningRate(Version.V1_0, Style.COSINE, 1, 0.1, 0, 100);
    assertThat(first.at(200)).isEqualTo(first.at(100)).isEqualTo(0.1);
  }

  @Test
  void aVeryShortOrLongWarmUpDoesNotOvershoot() {
    assertThat(new LearningRate(Version.V2, Style.CONSTANT, 1, 0, 0.2, 20).at(0)).isEqualTo(1);
    assertThat(new LearningRate(Version.V1_0, Style.LINEAR, 1, 0, 60, 100).at(61)).isEqualTo(1);
  }

  @Property(edgeCases = EdgeCasesMode.NONE)
  void afterTheWarmUpTheRateStaysBetweenFloorAndPeak(
      @ForAll Version version,
      @ForAll Style style,
      @ForAll @LongRange(min = 1, max = 1000) long end,
      @ForAll @DoubleRange(min = 0, max = 0.99) double warmup,
      @ForAll @DoubleRange(min = 0, max = 1) double floor,
      @ForAll @LongRange(min = 0, max = 2000) long iteration) {
    LearningRate schedule = new LearningRate(version, style, 2, 2 * floor, warmup * end, end);
    double rate = schedule.at(iteration);
    assertThat(rate).isLessThanOrEqualTo(2).isGreaterThanOrEqualTo(0);
    if (iteration > warmup * end) {
      assertThat(rate).isGreaterThanOrEqualTo(2 * floor);
      double before = schedule.at(iteration - 1);
      if (iteration - 1 > warmup * end && iteration <= end) {
        assertThat(rate).isLessThanOrEqualTo(before + 1e-12);
      }
    }
  }

  @Test
  void wrongNumbersAreNamed() {
    assertThatThrownBy(() -> new LearningRate(Version.V2, Style.LINEAR, -1, 0, 0, 10))
        .isInstanceOf(InputException.class)
        .hasMessage("learning rate: expected a number >= 0, found -1.0");
    assertThatThrownBy(() -> new LearningRate(Version.V2, Style.LINEAR, 1, 2, 0, 10))
        .hasMessage("minimum learning rate: expected a number within 0..1.0, found 2.0");
    assertThatThrownBy(() -> new LearningRate(Version.V2, Style.LINEAR, 1, 0, 10, 10))
        .hasMessage("warm-up iterations: expected a number >= 0 and < 10, found 10.0");
    assertThatThrownBy(() -> new LearningRate(Version.V2, Style.LINEAR, 1, 0, 0, 0))
        .isInstanceOf(InputException.class);
    assertThatThrownBy(() -> Version.of("2"))
        .hasMessage("schedule version: expected v1.0 or v2, found 2");
  }
}
