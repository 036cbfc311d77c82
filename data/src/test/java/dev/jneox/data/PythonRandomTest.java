package dev.jneox.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** Expected values from CPython 3.11. */
class PythonRandomTest {
  private static List<Integer> range(int n) {
    return IntStream.range(0, n).boxed().toList();
  }

  @Test
  void drawsAsPythonInTurn() {
    PythonRandom random = new PythonRandom(1234);
    assertThat(random.random()).isEqualTo(0.9664535356921388);
    assertThat(random.random()).isEqualTo(0.4407325991753527);
    assertThat(random.below(10)).isEqualTo(0);
    assertThat(random.sample(range(10), 4)).containsExactly(1, 0, 9, 8);
    assertThat(random.sample(range(1000), 4)).containsExactly(784, 363, 242, 17);
    assertThat(random.sample(range(100), 10)).containsExactly(3, 2, 44, 82, 79, 61, 78, 59, 19, 11);
    assertThat(random.sample(range(50), 30)).startsWith(11, 45, 7, 0).endsWith(21, 46, 23);
    List<Integer> list = new ArrayList<>(range(10));
    random.shuffle(list);
    assertThat(list).containsExactly(6, 2, 8, 4, 3, 7, 9, 5, 0, 1);
    assertThat(random.choices(7, 5)).containsExactly(0, 3, 0, 1, 0);
  }

  @Test
  void boundsOfAnySize() {
    PythonRandom random = new PythonRandom(1234);
    assertThat(IntStream.of(1, 2, 3, Integer.MAX_VALUE, 1000).map(random::below))
        .containsExactly(0, 0, 0, 194655650, 932);
  }

  @Test
  void seedsAreIntegersOfAnySizeOrTexts() {
    assertThat(new PythonRandom(0).random()).isEqualTo(0.8444218515250481);
    assertThat(new PythonRandom(-5).random()).isEqualTo(0.6229016948897019);
    assertThat(new PythonRandom((1L << 40) + 7).random()).isEqualTo(0.6137037779936511);
    PythonRandom text = new PythonRandom("justice");
    assertThat(text.random()).isEqualTo(0.646217393215549);
    List<Integer> list = new ArrayList<>(range(8));
    text.shuffle(list);
    assertThat(list).containsExactly(6, 1, 0, 3, 4, 5, 7, 2);
  }

  @Test
  void refusesMoreThanThereIs() {
    PythonRandom random = new PythonRandom(0);
    assertThatThrownBy(() -> random.sample(range(3), 4))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> random.below(0)).isInstanceOf(IllegalArgumentException.class);
  }
}
