package dev.jneox.format.gguf;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.io.InputException;
import dev.jneox.template.ChatTemplates;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class GgufChatTemplatesTest {
  private static final Path FILE = Path.of("m.gguf");

  private static Optional<ChatTemplates> read(Map<String, GgufValue> values) {
    return GgufChatTemplates.read(FILE, new GgufMetadata(FILE, values));
  }

  private static Map<String, GgufValue> others() {
    Map<String, GgufValue> values = new LinkedHashMap<>();
    values.put("tokenizer.chat_template", GgufValue.text("d"));
    values.put("tokenizer.chat_template.rag", GgufValue.text("r"));
    values.put("tokenizer.ggml.tokens", GgufValue.texts(List.of("a", "<s>", "</s>", "<pad>")));
    values.put("tokenizer.ggml.bos_token_id", GgufValue.u32(1));
    values.put("tokenizer.ggml.eos_token_id", GgufValue.u32(2));
    values.put("tokenizer.ggml.padding_token_id", GgufValue.u32(3));
    return values;
  }

  @Test
  void aFileOfOtherSoftwareHasItsTokensByTheirIds() {
    ChatTemplates templates = read(others()).orElseThrow();
    assertThat(templates.sources()).isEqualTo(Map.of("default", "d", "rag", "r"));
    assertThat(templates.specialTokens())
        .isEqualTo(Map.of("bos_token", "<s>", "eos_token", "</s>", "pad_token", "<pad>"));
    assertThat(read(Map.of())).isEmpty();
  }

  @Test
  void whatIsWrittenIsWhatOtherSoftwareReads() {
    Map<String, GgufValue> values = others();
    values.remove("tokenizer.chat_template");
    values.remove("tokenizer.chat_template.rag");
    GgufChatTemplates.write(
        new ChatTemplates(
            Map.of("default", "x", "tool_use", "t"),
            Map.of("bos_token", "a", "eos_token", "a"),
            "here"),
        values);
    assertThat(values)
        .containsEntry("tokenizer.chat_template", GgufValue.text("x"))
        .containsEntry("tokenizer.chat_template.tool_use", GgufValue.text("t"))
        .containsEntry("tokenizer.chat_templates", GgufValue.texts(List.of("tool_use")))
        .containsEntry("tokenizer.ggml.bos_token_id", GgufValue.u32(0))
        .containsEntry("tokenizer.ggml.eos_token_id", GgufValue.u32(2));
    assertThat(read(values).orElseThrow().specialTokens())
        .isEqualTo(Map.of("bos_token", "a", "eos_token", "a"));
  }

  @Test
  void brokenKeysAreErrorsWithTheFile() {
    Map<String, GgufValue> values = others();
    values.put("tokenizer.ggml.bos_token_id", GgufValue.u32(4));
    assertThatThrownBy(() -> read(values))
        .isInstanceOf(InputException.class)
        .hasMessageStartingWith("m.gguf: key tokenizer.ggml.bos_token_id: expected an integer");
    values.put("jneox.special_tokens", GgufValue.text("{"));
    assertThatThrownBy(() -> read(values))
        .isInstanceOf(InputException.class)
        .hasMessageStartingWith("m.gguf: key jneox.special_tokens: expected JSON");
    values.put("tokenizer.chat_template", GgufValue.u32(1));
    assertThatThrownBy(() -> read(values))
        .hasMessageStartingWith("m.gguf: key tokenizer.chat_template: expected text");
  }
}
