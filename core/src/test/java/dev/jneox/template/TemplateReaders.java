package dev.jneox.template;

import dev.jneox.fuzz.Input;
import dev.jneox.fuzz.Reader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/** Readers of chat templates, for fuzzing. */
public final class TemplateReaders {
  private static final String FILE = "chat_template.jinja";

  /** What an input of some kilobytes may take. */
  private static final Limits SMALL = new Limits(200_000, 2 << 20, 1 << 20);

  private static final Map<String, Object> VARIABLES =
      Map.of(
          "messages",
          List.of(
              Map.of("role", "system", "content", "Be  brief. "),
              Map.of("role", "user", "content", "hé 😀"),
              Map.of(
                  "role", "assistant", "content", List.of(Map.of("type", "text", "text", "yes")))),
          "tools",
          List.of(Map.of("type", "function", "function", Map.of("name", "f", "n", 1.5))),
          "bos_token",
          "<s>",
          "n",
          7);

  private TemplateReaders() {}

  /** The language of templates. */
  public static Reader templates() {
    return Reader.ofFile(
        "chat-template",
        FILE,
        file ->
            ChatTemplate.parse(
                    new String(Files.readAllBytes(file), StandardCharsets.UTF_8), FILE, SMALL)
                .render(VARIABLES),
        () ->
            Stream.of(
                    """
                    {%- for m in messages %}
                    {%- if m.role == 'user' and loop.index0 % 2 == 1 %}
                    {{- '<|' ~ m['role'] + '|>' }}{{ m.content[1:] | trim | upper }}
                    {% elif m.content is string %}{{ m.content.split(' ')[-1] }}
                    {% else %}{{ m | tojson(indent=2) }}{% endif %}
                    {%- else %}none{% endfor %}
                    """,
                    "{% macro f(a, b=2) %}{{ a ~ b }}{{ caller() }}{% endmacro %}{% call f(n) %}{%"
                        + " set ns = namespace(x=[]) %}{% for i in range(3) %}{% set ns.x = ns.x +"
                        + " [i ** 2 // 3, -i] %}{% if i > 1 %}{% break %}{% endif %}{% endfor %}{{"
                        + " ns.x | sort(reverse=true) | join(',') }}{% endcall %}",
                    "{# c #}{% raw %}{{ }}{% endraw %}{% set x %}a{% endset %}{% filter"
                        + " replace('a', 'b') %}{{ x * 3 }}{% endfilter %}{{ '%s|%5.2f' % (x, n /"
                        + " 2) }}{{ '{:>4}'.format(n) }}{{ messages | selectattr('role', 'in',"
                        + " ['user']) | map(attribute='content') | list }}{{ {'a': [1, none]}['a']"
                        + " if n is not none else 1.5e3 }}{{ messages | groupby('role') | length"
                        + " }}")
                .map(template -> Input.of(FILE, template))
                .toList());
  }

  /** Where a folder keeps its templates. */
  public static Reader folders() {
    return Reader.of(
        "chat-templates",
        folder ->
            ChatTemplates.of(folder)
                .ifPresent(
                    templates ->
                        templates
                            .sources()
                            .keySet()
                            .forEach(name -> templates.template(name).source())),
        () ->
            List.of(
                Input.of(
                        "tokenizer_config.json",
                        "{\"chat_template\": [{\"name\": \"default\", \"template\": \"{{ 1 }}\"}],"
                            + " \"bos_token\": {\"content\": \"<s>\"}, \"eos_token\": \"</s>\"}")
                    .with("special_tokens_map.json", "{\"pad_token\": \"<pad>\"}"),
                Input.of(FILE, "{{ messages }}").with("additional_chat_templates/x.jinja", "x")));
  }
}
