package dev.jneox.dist;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.dist.Schedule.Action;
import dev.jneox.dist.Schedule.Direction;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

class ScheduleTest {
  @Test
  void everyMicroBatchPassesEveryStageAndFewAreUnderWay() {
    for (int stages = 1; stages <= 8; stages++) {
      for (int micro = 1; micro <= 16; micro++) {
        for (int stage = 0; stage < stages; stage++) {
          List<Action> actions = Schedule.of(stage, stages, 1, micro);
          assertThat(actions).doesNotHaveDuplicates().hasSize(2 * micro);
          assertThat(mostUnderWay(actions)).isEqualTo(Math.min(stages - stage, micro));
        }
        assertThat(time(stages, 1, micro)).isEqualTo(3 * (micro + stages - 1));
      }
    }
  }

  /** With chunks the pipeline is idle for 1/chunks of the time: (p - 1) / (v m). */
  @Test
  void interleavedStagesAreFilledSooner() {
    for (int stages = 2; stages <= 8; stages++) {
      for (int chunks = 2; chunks <= 4; chunks++) {
        for (int micro = stages; micro <= 4 * stages; micro += stages) {
          for (int stage = 0; stage < stages; stage++) {
            List<Action> actions = Schedule.of(stage, stages, chunks, micro);
            assertThat(actions).doesNotHaveDuplicates().hasSize(2 * micro * chunks);
            assertThat(mostUnderWay(actions))
                .isLessThanOrEqualTo(2 * (stages - stage - 1) + (chunks - 1) * stages + 1);
          }
          assertThat(time(stages, chunks, micro)).isEqualTo(3 * (micro * chunks + stages - 1));
        }
      }
    }
  }

  private static int mostUnderWay(List<Action> actions) {
    int now = 0;
    int most = 0;
    for (Action action : actions) {
      now += action.direction() == Direction.FORWARD ? 1 : -1;
      most = Math.max(most, now);
    }
    return most;
  }

  /**
   * The time of a step, where a chunk takes 1 forward and 2 backward. It fails where a stage would
   * wait for ever.
   */
  private static int time(int stages, int chunks, int micro) {
    int places = stages * chunks;
    List<List<Action>> actions = new ArrayList<>();
    for (int stage = 0; stage < stages; stage++) {
      actions.add(Schedule.of(stage, stages, chunks, micro));
    }
    int[] next = new int[stages];
    int[] free = new int[stages];
    int[][] forward = new int[places][micro]; // when it was done; 0 before
    int[][] backward = new int[places][micro];
    boolean progress = true;
    Set<Integer> done = new HashSet<>();
    while (done.size() < stages) {
      assertThat(progress).as("%d stages, %d micro-batches: deadlock", stages, micro).isTrue();
      progress = false;
      for (int stage = 0; stage < stages; stage++) {
        if (next[stage] == actions.get(stage).size()) {
          done.add(stage);
          continue;
        }
        Action action = actions.get(stage).get(next[stage]);
        int m = action.microBatch();
        int place = action.chunk() * stages + stage;
        boolean ahead = action.direction() == Direction.FORWARD;
        int input =
            ahead
                ? place == 0 ? -1 : forward[place - 1][m]
                : place == places - 1 ? forward[place][m] : backward[place + 1][m];
        if (input == 0) {
          continue;
        }
        free[stage] = Math.max(free[stage], input) + (ahead ? 1 : 2);
        (ahead ? forward : backward)[place][m] = free[stage];
        next[stage]++;
        progress = true;
      }
    }
    int end = 0;
    for (int time : free) {
      end = Math.max(end, time);
    }
    return end;
  }

  @Test
  void interleavedStagesNeedWholeGroups() {
    assertThat(Schedule.fits(4, 1, 3)).isTrue();
    assertThat(Schedule.fits(4, 2, 8)).isTrue();
    assertThatThrownBy(() -> Schedule.of(0, 4, 2, 6))
        .hasMessage("6 micro-batches are no multiple of 4 stages");
  }
}
