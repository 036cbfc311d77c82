package dev.jneox.template;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.io.InputException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ChatTemplatesTest {
  private static final List<Map<String, Object>> MESSAGES =
      List.of(Map.of("role", "user", "content", "hi"));

  @TempDir Path dir;

  private void write(String name, String text) throws IOException {
    Path file = dir.resolve(name);
    Files.createDirectories(file.getParent());
    Files.writeString(file, text);
  }

  private ChatTemplates read() {
    return ChatTemplates.of(dir).orElseThrow();
  }

  @Test
  void aFolderWithoutOneHasNone() throws IOException {
    assertThat(ChatTemplates.of(dir)).isEmpty();
    write("tokenizer_config.json", "{\"bos_token\": \"<s>\"}");
    assertThat(ChatTemplates.of(dir)).isEmpty();
  }

  @Test
  void aTemplateLiesInTheSettingsOfTheTokenizer() throws IOException {
    write(
        "tokenizer_config.json",
        """
        {"chat_template": "{{ bos_token }}{{ messages[0].content }}{{ eos_token }}{{ x }}",
         "bos_token": "<s>", "eos_token": {"content": "</s>", "lstrip": false}, "unk_token": null}
        """);
    write("special_tokens_map.json", "{\"bos_token\": \"other\", \"pad_token\": \"<pad>\"}");
    assertThat(read().specialTokens())
        .isEqualTo(Map.of("bos_token", "<s>", "eos_token", "</s>", "pad_token", "<pad>"));
    assertThat(read().render(MESSAGES, List.of(), true, Map.of("x", 1))).isEqualTo("<s>hi</s>1");
    assertThat(read().render(MESSAGES, List.of(), true, Map.of("bos_token", "b", "x", 1)))
        .isEqualTo("bhi</s>1");
  }

  @Test
  void oneOfSeveralIsForTools() throws IOException {
    write(
        "tokenizer_config.json",
        """
        {"chat_template": [{"name": "default", "template": "d"}, {"name": "tool_use", "template": "t"}]}
        """);
    assertThat(read().render(MESSAGES, List.of(), true, Map.of())).isEqualTo("d");
    assertThat(read().render(MESSAGES, List.of(Map.of("a", 1)), true, Map.of())).isEqualTo("t");
    assertThatThrownBy(() -> read().template("rag"))
        .isInstanceOf(InputException.class)
        .hasMessage(dir + ": chat template: expected one of default, tool_use, found \"rag\"");
  }

  @Test
  void filesOfTheirOwnReplaceTheSettings() throws IOException {
    write("tokenizer_config.json", "{\"chat_template\": \"old\", \"bos_token\": \"<s>\"}");
    write("chat_template.json", "{\"chat_template\": \"older\"}");
    assertThat(read().sources()).isEqualTo(Map.of("default", "old"));
    write("chat_template.jinja", "new");
    write("additional_chat_templates/rag.jinja", "r");
    write("additional_chat_templates/notes.txt", "n");
    assertThat(read().sources()).isEqualTo(Map.of("default", "new", "rag", "r"));
    assertThat(read().specialTokens()).isEqualTo(Map.of("bos_token", "<s>"));
  }

  @Test
  void theFileOfAProcessorIsRead() throws IOException {
    write("chat_template.json", "{\"chat_template\": \"p\"}");
    assertThat(read().sources()).isEqualTo(Map.of("default", "p"));
  }

  @Test
  void otherFormsAreErrorsWithTheFile() throws IOException {
    for (String wrong : List.of("5", "[]", "{}", "[{\"name\": \"a\"}]", "{\"a\": \"b\"}")) {
      write("tokenizer_config.json", "{\"chat_template\": " + wrong + "}");
      assertThatThrownBy(this::read)
          .isInstanceOf(InputException.class)
          .hasMessageContaining("tokenizer_config.json: chat_template: expected text, or a list");
    }
    write("tokenizer_config.json", "{\"chat_template\": \"a\", \"bos_token\": 5}");
    assertThatThrownBy(this::read).hasMessageContaining("bos_token: expected text, or an object");
    write("tokenizer_config.json", "{\"chat_template\": \"\\n{{\"}");
    assertThatThrownBy(() -> read().template(false))
        .hasMessageStartingWith(dir + ": chat template: line 2: expected");
  }

  @Test
  void theSettingsReadBackTheSame() throws IOException {
    for (Map<String, String> sources :
        List.of(
            Map.of("default", "a"), Map.of("tool_use", "t"), Map.of("default", "a", "x", "b"))) {
      ChatTemplates templates =
          new ChatTemplates(sources, Map.of("bos_token", "<s>"), dir.toString());
      Files.write(
          dir.resolve(ChatTemplates.CONFIG), dev.jneox.io.JsonObject.write(templates.config()));
      assertThat(read()).isEqualTo(templates);
    }
  }
}
