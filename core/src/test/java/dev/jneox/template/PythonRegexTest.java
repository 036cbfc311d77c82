package dev.jneox.template;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.io.InputException;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Expected texts are those of Python 3.11. */
class PythonRegexTest {
  @ParameterizedTest
  @CsvSource(
      quoteCharacter = '`',
      value = {
        "x*, -, abxd, -a-b--d-",
        "`{\\s*([^}]*?)\\s*}`, {\\1}, { a } {b}, {a} {b}",
        "(?P<n>a), [\\g<n>], banana, b[a]n[a]n[a]",
        "[]x[], ., a]b[x, a.b..",
        "`a{,2}b`, -, aaab, a-",
        "\\[.*?\\], ``, a[b]c[d], ac",
        "(?P<q>['\"])(.)(?P=q), \\2, `'a\" 'b'`, `'a\" b`",
        "a\\Z, -, a a, a -",
        "$, !, ab, ab!",
      })
  void replacesAsPython(String expression, String replacement, String text, String expected) {
    assertThat(PythonRegex.compile(expression).sub(replacement, text, 0)).isEqualTo(expected);
  }

  @Test
  void countsReplacements() {
    assertThat(PythonRegex.compile("a").sub("\\n", "banana", 2)).isEqualTo("b\nn\nna");
  }

  @Test
  void whiteSpaceIsThatOfPython() {
    assertThat(PythonRegex.compile("\\s+").split(" a\u001cb ")).containsExactly("", "a", "b", "");
    assertThat(PythonRegex.compile("[^\\s]+").findAll("a\u001cb")).hasSize(2);
  }

  @Test
  void findsGroupsOrTheWhole() {
    assertThat(PythonRegex.compile("(a)|(b)").findAll("abc"))
        .isEqualTo(List.of(List.of("a", ""), List.of("", "b")));
    assertThat(PythonRegex.compile("[0-9]+").findAll("1 and 23"))
        .isEqualTo(List.of(List.of("1"), List.of("23")));
  }

  @Test
  void refusesWhatIsNone() {
    assertThatThrownBy(() -> PythonRegex.compile("(a"))
        .isInstanceOf(InputException.class)
        .hasMessageStartingWith("expected a regular expression of Python, found '(a': ");
    assertThatThrownBy(() -> PythonRegex.compile("a").sub("\\2", "a", 0))
        .isInstanceOf(InputException.class);
  }
}
