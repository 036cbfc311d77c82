package dev.jneox.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import org.junit.jupiter.api.Test;

class UnigramCountsTest {
  @Test
  void theLossOnItselfIsThatOfTheOtherTokens() {
    int[] ids = {9, 1, 1, 2, 0, 1};
    UnigramCounts counts = new UnigramCounts(4).add(ids, 1);
    double sum = 0;
    for (int i = 1; i < ids.length; i++) {
      int same = 0;
      for (int j = 1; j < ids.length; j++) {
        same += j != i && ids[j] == ids[i] ? 1 : 0;
      }
      sum -= Math.log((same + 1.0) / (4 + 4));
    }
    assertThat(counts.lossOnItself()).isCloseTo(sum / 5, within(1e-12));
  }

  @Test
  void oneTokenIsAsUnlikelyAsAnyOther() {
    assertThat(new UnigramCounts(100).add(new int[] {7}, 0).lossOnItself())
        .isCloseTo(Math.log(100), within(1e-12));
    assertThat(new UnigramCounts(100).lossOnItself()).isNaN();
  }
}
