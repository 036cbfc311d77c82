package dev.jneox.cli.train;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class TextRunTest {
  /** More time or text never make it smaller. */
  @ParameterizedTest
  @CsvSource({
    "60, 1000000, 1e11, TINY",
    "7200, 100000000, 2e11, SMALL",
    "28800, 100000000, 3e11, MEDIUM",
    "864000, 10000000000, 3e11, BASE",
    "864000, 10000, 3e11, TINY",
  })
  void theModelFitsTheTextAndTheTime(double seconds, long tokens, double rate, TextRun.Size size) {
    assertThat(TextRun.Size.of(seconds, tokens, 8192, rate)).isEqualTo(size);
  }

  @Test
  void moreTimeNeverMakesTheModelSmaller() {
    TextRun.Size last = TextRun.Size.TINY;
    for (double seconds = 10; seconds < 1e7; seconds *= 1.5) {
      TextRun.Size size = TextRun.Size.of(seconds, 1_000_000_000, 8192, 2e11);
      assertThat(size).isGreaterThanOrEqualTo(last);
      last = size;
    }
    assertThat(last).isEqualTo(TextRun.Size.BASE);
  }
}
