package dev.jneox.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.io.InputException;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class PythonLiteralTest {
  @Test
  void readsWhatPythonReads() {
    assertThat(
            PythonLiteral.parse("['a', \"it's\", 'x' 'y', '\\n\\x41\\u00e9\\101', 1, -2.5, 1e3]"))
        .isEqualTo(List.of("a", "it's", "xy", "\nAéA", 1L, -2.5, 1000.0));
    assertThat(PythonLiteral.parse(" (1, None, True, [], ()) "))
        .isEqualTo(Arrays.asList(1L, null, true, List.of(), List.of()));
    assertThat(PythonLiteral.parse("(7)")).isEqualTo(7L);
    assertThat(PythonLiteral.parse("{'a': [1], 'b': '''x\ny'''}"))
        .isEqualTo(Map.of("a", List.of(1L), "b", "x\ny"));
    assertThat(PythonLiteral.parse("0")).isEqualTo(0L);
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "[1", "[1 2]", "007", "a", "'a", "[1]]", "{1: 2}", "'\\x4'", "1 + 1"})
  void refusesWhatIsNoLiteral(String text) {
    assertThatThrownBy(() -> PythonLiteral.parse(text))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("of a Python literal, found");
  }

  /** What a template writes of a list is read as the same list. */
  @Property(tries = 300)
  void aListOfTextsComesBack(@ForAll List<String> texts) {
    List<String> whole =
        texts.stream()
            .filter(text -> text.codePoints().noneMatch(c -> c >= 0xd800 && c < 0xe000))
            .toList();
    assertThat(PythonLiteral.parse(PythonText.of(whole))).isEqualTo(whole);
  }
}
