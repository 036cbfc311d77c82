package dev.jneox.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.io.InputException;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class SplitsTest {
  /** Expected values from GPT-NeoX's rule in Python. */
  @ParameterizedTest
  @CsvSource(
      delimiter = ';',
      value = {
        "969,30,1;1000;969;999", "969, 30, 1;40;39;40", "995,4,1;211;210;211", "1,1,1;100;34;67",
            "1,1,0;5;3;5", "1,1,2;10;3;5",
        "9/1;15;13;15", "1;7;7;7", "1,2,2;13;3;8", "0.5,0.25,0.25;10;6;8", "1,1,1,7;9;3;6",
            "0,1,1;1;1;1"
      })
  void dividesAsGptNeoxDoes(String split, int documents, int valid, int test) {
    assertThat(Splits.of(split, documents)).isEqualTo(new Splits(valid, test, documents));
  }

  @Property
  void givesEveryDocumentToOnePart(
      @ForAll @IntRange(max = 9) int a,
      @ForAll @IntRange(max = 9) int b,
      @ForAll @IntRange(min = 1, max = 9) int c,
      @ForAll @IntRange(max = 1000) int documents) {
    Splits splits = Splits.of(a + "," + b + "," + c, documents);
    assertThat(splits.valid()).isBetween(0, splits.test());
    assertThat(splits.test()).isBetween(splits.valid(), documents);
    assertThat(splits.end()).isEqualTo(documents);
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "a,b", "0,0,0", "1,-1,1", "NaN,1,1", "Infinity"})
  void refusesWhatIsNoSplit(String split) {
    assertThatThrownBy(() -> Splits.of(split, 10))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("found " + split);
  }
}
