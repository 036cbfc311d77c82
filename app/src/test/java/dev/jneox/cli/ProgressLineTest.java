package dev.jneox.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class ProgressLineTest {
  private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
  private final PrintStream out = new PrintStream(bytes, true, StandardCharsets.UTF_8);

  private ProgressLine plain(String unit, long unitSize, long total, Duration interval) {
    return new ProgressLine("reading", unit, unitSize, total, out, false, interval);
  }

  @Test
  void saysDoneTotalRateAndTimeLeft() {
    try (ProgressLine progress = plain("MB", 1_000_000, 96_000_000, Duration.ofHours(1))) {
      assertThat(progress.line(12_000_000, 4, false))
          .isEqualTo("reading: 12.0/96.0 MB (12%), 3.00 MB/s, ETA 0:28");
      assertThat(progress.line(96_000_000, 32, true))
          .isEqualTo("reading: 96.0 MB, 3.00 MB/s, took 0:32");
      assertThat(progress.line(48_000_000, 16, true))
          .isEqualTo("reading: 48.0/96.0 MB (50%), 3.00 MB/s, took 0:16");
    }
  }

  @Test
  void saysNoTimeLeftWhenTheTotalIsUnknownUntilItIs() {
    try (ProgressLine progress = plain("steps", 1, -1, Duration.ofHours(1))) {
      assertThat(progress.line(0, 1, false)).isEqualTo("reading: 0 steps, running for 0:01");
      assertThat(progress.line(12_000, 4, false))
          .isEqualTo("reading: 12,000 steps, 3,000 steps/s, running for 0:04");
      progress.expect(2_000_000);
      progress.expect(10_000_000);
      progress.note("loss 3.2");
      assertThat(progress.line(12_000, 4, false))
          .isEqualTo("reading: 12,000/12,000,000 steps (0%), 3,000 steps/s, ETA 1:06:36, loss 3.2");
    }
  }

  @Test
  void countsTheStepsOfAllThreadsAndLeavesALastLine() {
    try (ProgressLine progress = plain("steps", 1, 4000, Duration.ofHours(1))) {
      List<Thread> threads =
          IntStream.range(0, 4)
              .mapToObj(
                  t ->
                      Thread.ofVirtual()
                          .start(() -> IntStream.range(0, 1000).forEach(i -> progress.step(1))))
              .toList();
      threads.forEach(
          t -> {
            try {
              t.join();
            } catch (InterruptedException e) {
              throw new AssertionError(e);
            }
          });
      assertThat(progress.done()).isEqualTo(4000);
      assertThat(lines()).isEmpty();
    }
    assertThat(lines()).singleElement().asString().startsWith("reading: 4,000 steps, ");
  }

  @Test
  void printsALinePerIntervalEvenWhenNothingMoves() throws InterruptedException {
    try (ProgressLine _ = plain("steps", 1, 10, Duration.ofMillis(20))) {
      for (int i = 0; i < 500 && lines().size() < 2; i++) {
        Thread.sleep(10);
      }
    }
    assertThat(lines().size()).isGreaterThanOrEqualTo(3);
    assertThat(lines()).allMatch(line -> line.startsWith("reading: 0/10 steps (0%)"));
  }

  @Test
  void saysNothingOfAnActThatNeverBegan() {
    plain("steps", 1, -1, Duration.ofHours(1)).close();
    assertThat(lines()).isEmpty();
  }

  @Test
  void movesABarOnATerminal() {
    try (ProgressLine progress =
        new ProgressLine("reading", "steps", 1, 10, out, true, Duration.ofHours(1))) {
      progress.step(10);
    }
    assertThat(bytes.toString(StandardCharsets.UTF_8))
        .contains("reading ")
        .containsPattern("\r\033\\[Kreading: 10 steps, [^\r\n]*took 0:\\d\\d\n$");
  }

  @Test
  void aBarWaitsForItsTotalAndHasTheUnitThatFits() {
    try (ProgressLine progress =
        new ProgressLine("reading", "MB", 1_000_000, -1, out, true, Duration.ofHours(1))) {
      assertThat(bytes.size()).isZero();
      progress.total(96_000);
      progress.step(96_000);
    }
    assertThat(bytes.toString(StandardCharsets.UTF_8))
        .contains("96/96 kB")
        .doesNotContain("?/", "/?", "0/0", " MB");
  }

  @Test
  void saysNothingOfAnActWithNothingToDoOnATerminalOrInAFile() {
    plain("steps", 1, 0, Duration.ofHours(1)).close();
    assertThat(lines()).isEmpty();
    new ProgressLine("reading", "MB", 1_000_000, 0, out, true, Duration.ofHours(1)).close();
    assertThat(bytes.toString(StandardCharsets.UTF_8)).endsWith("\r\033[K");
  }

  @Test
  void fewBytesHaveASmallerUnit() {
    try (ProgressLine progress = plain("MB", 1_000_000, 96_000, Duration.ofHours(1))) {
      assertThat(progress.line(12_000, 4, false))
          .isEqualTo("reading: 12.0/96.0 kB (12%), 3.00 kB/s, ETA 0:28");
    }
  }

  private List<String> lines() {
    return bytes.toString(StandardCharsets.UTF_8).lines().toList();
  }
}
