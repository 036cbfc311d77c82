package dev.jneox.template;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.io.InputException;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Expected texts are those of lm-evaluation-harness 0.4.13 with jinja2 3.1.6. */
class TextTemplateTest {
  private static String render(String template, Map<String, ?> variables) {
    return TextTemplate.parse(template, "doc_to_text").render(variables);
  }

  @Test
  void linesStayAsTheyAre() {
    assertThat(render("a\n{% if true %}\nb\n{% endif %}\n", Map.of())).isEqualTo("a\n\nb\n\n");
    assertThat(render("a\n  {% if true -%}\n b{% endif %}", Map.of())).isEqualTo("a\n  b");
  }

  @Test
  void listsAreWrittenAsPythonWritesThem() {
    assertThat(render("{{[a, b]}}", Map.of("a", "it's", "b", "\"\né\u200b")))
        .isEqualTo("[\"it's\", '\"\\né\\u200b']");
    assertThat(render("{{ x.split(' ')[:-1]|join(' ') }}", Map.of("x", "a b  c")))
        .isEqualTo("a b ");
    assertThat(
            render(
                "{{ choices.label.index(key) }}",
                Map.of("choices", Map.of("label", List.of("A", "B")), "key", "B")))
        .isEqualTo("1");
  }

  @Test
  void variablesAreThoseThatTheTemplateDoesNotSetItself() {
    assertThat(
            TextTemplate.parse(
                    "{% set n = q|length %}{% for x in c.text %}{{ loop.index }}{{ x }}{{ n }}"
                        + "{% endfor %}{% macro m(a) %}{{ a ~ b }}{% endmacro %}{{ m(range(k)) }}",
                    "t")
                .variables())
        .containsExactly("b", "c", "k", "q");
  }

  @Test
  void regexReplaceIsThatOfPython() {
    assertThat(render("{{ x|regex_replace('a(.)', '<\\\\1>') }}", Map.of("x", "abac")))
        .isEqualTo("<b><c>");
    assertThatThrownBy(
            () -> ChatTemplate.parse("{{ 'a'|regex_replace('a', 'b') }}").render(Map.of()))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("'regex_replace'");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{{ y }}",
        "{{ x.y }}",
        "{% if y %}{% endif %}",
        "{% for a in y %}{% endfor %}",
        "{{ y == 1 }}",
        "{{ 1 == y }}",
        "{{ y|length }}",
        "{{ 1 in y }}",
        "{{ 'a' ~ y }}",
        "{{ 'a' if false }}"
      })
  void aMissingValueIsAnErrorThatSaysSo(String template) {
    assertThatThrownBy(() -> render(template, Map.of("x", Map.of("a", 1))))
        .isInstanceOf(InputException.class)
        .hasMessageStartingWith("doc_to_text: line 1: expected a value, found none: ");
    assertThat(ChatTemplate.parse(template).render(Map.of("x", Map.of("a", 1)))).isNotNull();
  }

  @Test
  void aMissingValueMayHaveADefault() {
    assertThat(render("{{ y|default('n') }}{{ y is defined }}", Map.of())).isEqualTo("nFalse");
  }

  @Test
  void functionsOfChatTemplatesAreNotThere() {
    assertThatThrownBy(() -> render("{{ raise_exception('no') }}", Map.of()))
        .hasMessage(
            "doc_to_text: line 1: expected a value, found none: 'raise_exception' is undefined");
  }
}
