package dev.jneox.template;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.jneox.io.InputException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Compares with what jinja2 renders; {@code build/fixtures/templates.py} writes the files. */
class ChatTemplateTest {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final TypeReference<Map<String, Object>> MAP = new TypeReference<>() {};

  private static final Clock CLOCK =
      Clock.fixed(Instant.parse("2026-03-05T14:07:09Z"), ZoneOffset.UTC);

  private static String resource(String name) throws IOException {
    try (InputStream in = ChatTemplateTest.class.getResourceAsStream("/template/" + name)) {
      return new String(Objects.requireNonNull(in, name).readAllBytes(), StandardCharsets.UTF_8);
    }
  }

  private static List<Map<String, Object>> lines(String name) throws IOException {
    List<Map<String, Object>> lines = new ArrayList<>();
    for (String line : resource(name).split("\n")) {
      lines.add(JSON.readValue(line, MAP));
    }
    return lines;
  }

  private static String rendered(String template, Map<String, Object> variables) {
    try {
      return ChatTemplate.parse(template).withClock(CLOCK).render(variables);
    } catch (InputException e) {
      assertThat(e.getMessage()).startsWith("chat template: line ").doesNotContain("\n");
      return "an error";
    }
  }

  private static String render(String template) {
    return ChatTemplate.parse(template).render(Map.of());
  }

  @Test
  void smallTemplatesGiveWhatJinja2Gives() throws IOException {
    Map<String, Object> variables = JSON.readValue(resource("variables.json"), MAP);
    Map<String, String> expected = new LinkedHashMap<>();
    Map<String, String> found = new LinkedHashMap<>();
    for (Map<String, Object> line : lines("cases.jsonl")) {
      String template = (String) line.get("template");
      expected.put(template, (String) line.getOrDefault("expected", "an error"));
      found.put(template, rendered(template, variables));
    }
    assertThat(found).hasSizeGreaterThan(580).isEqualTo(expected);
  }

  @Test
  void templatesInTheStyleOfFamiliesGiveWhatJinja2Gives() throws IOException {
    Map<String, Object> conversations = JSON.readValue(resource("conversations.json"), MAP);
    Map<String, String> expected = new LinkedHashMap<>();
    Map<String, String> found = new LinkedHashMap<>();
    for (Map<String, Object> line : lines("families.jsonl")) {
      String name = line.get("family") + ", " + line.get("conversation");
      Map<String, Object> variables = new HashMap<>();
      variables.put("bos_token", "<s>");
      variables.put("eos_token", "</s>");
      variables.put("tools", null);
      variables.put("documents", null);
      ((Map<?, ?>) conversations.get((String) line.get("conversation")))
          .forEach((key, value) -> variables.put((String) key, value));
      expected.put(name, (String) line.getOrDefault("expected", "an error"));
      found.put(name, rendered(resource("families/" + line.get("family") + ".jinja"), variables));
    }
    assertThat(found).hasSize(156).isEqualTo(expected);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '@',
      value = {
        "a\\n{% if x %}@line 2: expected {% elif or else or endif %} for the if of line 2, found",
        "{% nope %}@line 1: expected a tag such as if, for, set or macro",
        "{{ 1 | nope }}@line 1: expected a filter such as trim, join or tojson, found 'nope'",
        "{{ 1 is nope }}@line 1: expected a test such as defined, none or string, found 'nope'",
        "{{ (1 }}@line 1: expected ')', found '}'",
        "{% for x in y recursive %}@line 1: expected no recursive loop: JNeoX has none",
        "{% include 'x' %}@line 1: expected a tag of chat templates",
        "a\\n\\n{{ x.y }}@line 3: expected a value, found none: 'x' is undefined",
        "{{ [].append(1) }}@expected a value, found none: the method 'append' changes its value",
        "{{ 1 + 'a' }}@line 1: expected two values that + takes, found an integer and text",
        "{{ raise_exception('No tools here') }}@chat template: line 1: No tools here",
        "{{ lipsum() }}@expected a function of chat templates, found lipsum",
        "{{ strftime_now('%Q') }}@expected a directive of strftime such as %Y or %d, found %Q",
      })
  void errorsSayWhereAndWhat(String template, String message) {
    assertThatThrownBy(() -> render(template.replace("\\n", "\n")))
        .isInstanceOf(InputException.class)
        .hasMessageContaining(message);
  }

  @Tag("slow")
  @ParameterizedTest
  @ValueSource(
      strings = {
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{% macro f(x) %}{% for y in [x] %}{% if x %}{{ f([y]) }}{% endif %}{% endfor %}{% endmacro"
            + " %}{{ f(1) }}",
        "{{ 'a' * 99999999999 }}",
        "{{ [1] * 99999999999 }}",
        "{{ 9 ** 99999 }}",
        "{{ range(100000000) | list }}",
        "{% set ns = namespace(x='a') %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}{%"
            + " endfor %}",
        "{% set ns = namespace(x=[1]) %}{% for i in range(99) %}{% set ns.x = [ns.x, ns.x] %}{%"
            + " endfor %}{{ ns.x }}",
        "{% set ns = namespace(x=[1]) %}{% for i in range(99) %}{% set ns.x = [ns.x, ns.x] %}{%"
            + " endfor %}{{ ns.x | tojson }}",
        "{% set ns = namespace(x=[], y=[]) %}{% for i in range(99) %}{% set ns.x = [ns.x, ns.x]"
            + " %}{% set ns.y = [ns.y, ns.y] %}{% endfor %}{{ ns.x == ns.y }}",
        "{% set ns = namespace(x=[]) %}{% for i in range(99999) %}{% set ns.x = [ns.x] %}{% endfor"
            + " %}{{ ns.x }}",
        "{{ '%99999999d' % 1 }}",
        "{{ '%.99999999f' % 1 }}",
        "{{ '{:99999999}'.format(1) }}",
        "{{ 'a'.center(999999999) }}",
        "{{ 'a' | indent(999999999, true) }}",
        "{{ ('a' * 1000000 + 'b') in ('a' * 4000000) }}",
        "{{ ('a' * 4000000).replace('a' * 1000000 + 'b', '') }}",
        "{{ ('a' * 1000000).replace('', 'b' * 1000000) }}",
        "{{ ('a' * 1000000) | replace('a', 'b' * 1000000) }}",
        "{{ range(99999) | map('center', 99999) | join }}",
        "{% set x = 'a' * 9999999 %}{% for i in range(9999) %}{% set y = x.upper() %}{% endfor %}",
        "{% for i in range(99999) %}{{ 'a' * 9999 }}{% endfor %}",
        "{{ [1] | batch(99999999, 0) | list }}",
        "{{ [1] | slice(99999999) | list }}",
        "{{ [1] | tojson(indent=99999999) }}",
        "{{ range(99999) | select('in', range(99999) | list) | list | length }}",
      })
  void aHostileTemplateIsRefusedSoon(String template) {
    long begin = System.nanoTime();
    assertThatThrownBy(() -> render(template)).isInstanceOf(InputException.class);
    assertThat(System.nanoTime() - begin).isLessThan(20_000_000_000L);
  }

  @Test
  void deepTemplatesAreRefused() {
    for (String template :
        List.of(
            "{{ " + "(".repeat(100_000) + "1",
            "{{ " + "[".repeat(100_000) + "1",
            "{{ " + "not ".repeat(100_000) + "1 }}",
            "{{ " + "-".repeat(100_000) + "1 }}",
            "{{ 1" + " + 1".repeat(100_000) + " }}",
            "{{ 1" + "|abs".repeat(100_000) + " }}",
            "{{ x" + ".y".repeat(100_000) + " }}",
            "{{ 1 if " + "1 if ".repeat(100_000) + " }}",
            "{{ 1" + " if 1 else 1".repeat(100_000) + " }}",
            "{% if 1 %}".repeat(100_000),
            "{% set " + "(".repeat(100_000),
            "x".repeat(2_000_000))) {
      assertThatThrownBy(() -> render(template)).isInstanceOf(InputException.class);
    }
    assertThat(render("{{ 1" + " + 1".repeat(900) + " }}")).isEqualTo("901");
  }

  @Test
  void aSmallStackIsNoCrash() throws InterruptedException {
    List<Throwable> thrown = new ArrayList<>();
    Thread thread =
        new Thread(
            null,
            () -> render("{% macro f(x) %}{{ f([x]) }}{% endmacro %}{{ f(1) }}"),
            "small",
            128 << 10);
    thread.setUncaughtExceptionHandler((_, e) -> thrown.add(e));
    thread.start();
    thread.join();
    assertThat(thrown).singleElement().isInstanceOf(InputException.class);
  }

  @Test
  void onlyValuesOfJsonAreTaken() {
    ChatTemplate template = ChatTemplate.parse("{{ x }}");
    assertThat(template.render(Map.of("x", List.of(1, 2L, 1.5f)))).isEqualTo("[1, 2, 1.5]");
    assertThatThrownBy(() -> template.render(Map.of("x", new StringBuilder())))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("expected values of JSON");
    List<Object> deep = new ArrayList<>();
    for (int i = 0; i < 10_000; i++) {
      deep = new ArrayList<>(List.of(deep));
    }
    Map<String, Object> variables = Map.of("x", deep);
    assertThatThrownBy(() -> template.render(variables)).isInstanceOf(InputException.class);
  }

  @Test
  void aConversationHasTheVariablesOfTransformers() {
    ChatTemplate template =
        ChatTemplate.parse(
            "{{ messages | length }}{{ tools is none }}{{ documents is none }}"
                + "{{ add_generation_prompt }}{{ x }}");
    List<Map<String, Object>> messages = List.of(Map.of("role", "user", "content", "a"));
    assertThat(template.render(messages, List.of(), true, Map.of("x", 5)))
        .isEqualTo("1TrueTrueTrue5");
    assertThat(template.render(messages, List.of(Map.of("a", 1)), false, Map.of()))
        .isEqualTo("1FalseTrueFalse");
  }
}
