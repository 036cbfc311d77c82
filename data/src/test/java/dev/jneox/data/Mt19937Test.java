package dev.jneox.data;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.Arena;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Expected values from NumPy 2.4. */
class Mt19937Test {
  private static Npy shuffled(Mt19937 random, ElementType type, int n) {
    Npy array = Npy.allocate(Arena.ofAuto(), type, n);
    for (int i = 0; i < n; i++) {
      array.set(i, i);
    }
    random.shuffle(array);
    return array;
  }

  private static LongStream values(Npy array) {
    return LongStream.range(0, array.size()).map(array::get);
  }

  @Test
  void shufflesAsNumpyAndGoesOnWithTheSameStream() {
    Mt19937 random = new Mt19937(1234);
    assertThat(values(shuffled(random, ElementType.I32, 10)))
        .containsExactly(7L, 2L, 9L, 1L, 0L, 8L, 4L, 5L, 6L, 3L);
    assertThat(values(shuffled(random, ElementType.U32, 1000)).limit(5))
        .containsExactly(815L, 496L, 322L, 623L, 473L);
    assertThat(values(shuffled(new Mt19937(42), ElementType.I64, 10)))
        .containsExactly(8L, 1L, 5L, 0L, 7L, 2L, 9L, 4L, 3L, 6L);
  }

  @ParameterizedTest
  @EnumSource(
      value = ElementType.class,
      names = {"I32", "U32", "I64"})
  void shufflesEveryTypeAlike(ElementType type) {
    Npy array = shuffled(new Mt19937(4294967295L), type, 70_000);
    assertThat(values(array).limit(5)).containsExactly(14972L, 66828L, 49490L, 22806L, 60806L);
    assertThat(LongStream.range(0, 70_000).map(i -> (i + 1) * array.get(i)).sum())
        .isEqualTo(85784494817776L);
  }

  @Test
  void drawsTwoWordsForAnIntervalOfMoreThan32Bits() {
    Mt19937 random = new Mt19937(7);
    assertThat(LongStream.generate(() -> random.interval((1L << 40) - 1)).limit(5))
        .containsExactly(752595690692L, 108744157686L, 291964244179L, 650496783975L, 396459895993L);
  }

  @Test
  void leavesNothingAndOneThingAlone() {
    assertThat(values(shuffled(new Mt19937(1), ElementType.I32, 0))).isEmpty();
    assertThat(values(shuffled(new Mt19937(1), ElementType.I32, 1))).containsExactly(0L);
  }
}
