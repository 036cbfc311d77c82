package dev.jneox.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jneox.io.Heartbeat;
import dev.jneox.io.LaunchFolder;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** With one thread that beats for both ranks; a look stands for one second. */
class HangWatchTest {
  private static final int LIMIT = 5;

  @TempDir Path dir;
  private HangWatch watch;

  @BeforeEach
  void begin() {
    watch = new HangWatch(new LaunchFolder(dir), List.of(0, 1), LIMIT);
  }

  private Heartbeat rank(int rank) {
    Heartbeat heartbeat = new Heartbeat(new LaunchFolder(dir).heartbeat(rank));
    heartbeat.begin();
    return heartbeat;
  }

  /** Looks until something is found, at most {@code looks} times, after what each does. */
  private Optional<HangWatch.Hang> look(int looks, Runnable each) throws InterruptedException {
    for (int look = 0; look < looks; look++) {
      each.run();
      Thread.sleep(600); // a beat of the ranks that live
      Optional<HangWatch.Hang> hang = watch.look(1);
      if (hang.isPresent()) {
        return hang;
      }
    }
    return Optional.empty();
  }

  @Test
  void aCommandThatTellsNothingIsLeftAlone() throws InterruptedException {
    assertThat(look(2 * LIMIT, () -> {})).isEmpty();
  }

  @Test
  void aRankThatGivesNoSignIsNamedWithWhatTheOthersWaitIn() throws InterruptedException {
    try (Heartbeat zero = rank(0)) {
      rank(1).close();
      zero.waiting("barrier, group world");
      assertThat(look(2 * LIMIT, () -> {}))
          .hasValueSatisfying(
              hang -> {
                assertThat(hang.ranks()).containsExactly(1);
                assertThat(hang.line())
                    .isEqualTo(
                        "rank 1 gave no sign of life for 5 s; rank 0 waits in barrier, group"
                            + " world");
              });
    }
  }

  @Test
  void aRankThatComputesWithoutEndIsNamed() throws InterruptedException {
    try (Heartbeat zero = rank(0);
        Heartbeat one = rank(1)) {
      assertThat(look(2 * LIMIT, one::progress)).as("one gets on").isEmpty();
      zero.waiting("all-reduce of 12 numbers, group data");
      assertThat(look(2 * LIMIT, () -> {}))
          .hasValueSatisfying(
              hang -> {
                assertThat(hang.ranks()).containsExactly(1);
                assertThat(hang.line())
                    .isEqualTo(
                        "rank 1 finished nothing for 5 s; rank 0 waits in all-reduce of 12 numbers,"
                            + " group data");
              });
    }
  }

  /** Reading a large checkpoint takes as long as it takes. */
  @Test
  void beforeTheTrainingBeginsLifeIsEnough() throws InterruptedException {
    try (Heartbeat _ = new Heartbeat(new LaunchFolder(dir).heartbeat(0));
        Heartbeat one = rank(1)) {
      one.waiting("barrier, group world");
      assertThat(look(2 * LIMIT, () -> {})).isEmpty();
    }
  }

  @Test
  void whereAllWaitAllAreNamed() throws InterruptedException {
    try (Heartbeat zero = rank(0);
        Heartbeat one = rank(1)) {
      zero.waiting("barrier, group world");
      one.waiting("barrier, group world");
      assertThat(look(2 * LIMIT, () -> {}))
          .hasValueSatisfying(
              hang -> {
                assertThat(hang.ranks()).containsExactly(0, 1);
                assertThat(hang.line())
                    .isEqualTo(
                        "no rank of this machine got on for 5 s; ranks 0, 1 wait in barrier, group"
                            + " world");
              });
    }
  }

  /** Closing the lid of a laptop stops all processes: that is no hang. */
  @Test
  void theTimeInWhichTheLauncherWasStoppedDoesNotCount() {
    try (Heartbeat _ = rank(0);
        Heartbeat _ = rank(1)) {
      assertThat(watch.look(1)).isEmpty();
      assertThat(watch.look(3600)).isEmpty();
    }
  }
}
