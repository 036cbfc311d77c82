package dev.jneox.format.gguf;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.jneox.io.JsonObject;
import dev.jneox.template.ChatTemplates;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Reads and writes the chat templates of a GGUF file. The format keeps special tokens as ids of
 * some kinds; we also write the texts that the templates know, under a key of our own, and read
 * that first.
 */
final class GgufChatTemplates {
  private static final String TEMPLATE = "tokenizer.chat_template";
  private static final String NAMES = "tokenizer.chat_templates";
  private static final String TEXTS = "jneox.special_tokens";

  /** The key of each special token's id. The format misspells one. */
  private static final Map<String, String> IDS =
      Map.of(
          "bos_token", "tokenizer.ggml.bos_token_id",
          "eos_token", GgufArchitecture.END_OF_TEXT,
          "unk_token", "tokenizer.ggml.unknown_token_id",
          "sep_token", "tokenizer.ggml.seperator_token_id",
          "pad_token", "tokenizer.ggml.padding_token_id",
          "cls_token", "tokenizer.ggml.cls_token_id",
          "mask_token", "tokenizer.ggml.mask_token_id");

  private static final JsonMapper MAPPER = JsonMapper.builder(JsonObject.JSON).build();

  private GgufChatTemplates() {}

  /** Reads the templates; empty where the file has none. */
  static Optional<ChatTemplates> read(Path file, GgufMetadata metadata) {
    Map<String, String> sources = new LinkedHashMap<>();
    for (String key : metadata.values().keySet()) {
      boolean named = key.startsWith(TEMPLATE + ".");
      String source = named || key.equals(TEMPLATE) ? metadata.text(key) : null;
      if (source != null) {
        sources.put(named ? key.substring(TEMPLATE.length() + 1) : ChatTemplates.DEFAULT, source);
      }
    }
    return sources.isEmpty()
        ? Optional.empty()
        : Optional.of(new ChatTemplates(sources, tokens(metadata), file.toString()));
  }

  private static Map<String, String> tokens(GgufMetadata metadata) {
    Map<String, String> tokens = new LinkedHashMap<>();
    String texts = metadata.text(TEXTS);
    if (texts != null) {
      JsonNode json = parsed(texts, metadata);
      for (String name : ChatTemplates.SPECIAL_TOKENS) {
        if (json.path(name).isTextual()) {
          tokens.put(name, json.path(name).textValue());
        }
      }
      return tokens;
    }
    List<String> all = metadata.texts(GgufTokenizer.TOKENS);
    for (String name : ChatTemplates.SPECIAL_TOKENS) {
      String key = IDS.get(name);
      if (all != null && key != null && metadata.has(key)) {
        tokens.put(name, all.get(metadata.integer(key, 0, all.size() - 1)));
      }
    }
    return tokens;
  }

  private static JsonNode parsed(String texts, GgufMetadata metadata) {
    try {
      return MAPPER.readTree(texts);
    } catch (JsonProcessingException _) {
      throw metadata.wrong(TEXTS, "JSON, an object of texts");
    }
  }

  /** Adds templates to the metadata of a file, which has its tokenizer already. */
  static void write(ChatTemplates templates, Map<String, GgufValue> metadata) {
    List<String> others =
        templates.sources().keySet().stream()
            .filter(name -> !name.equals(ChatTemplates.DEFAULT))
            .toList();
    if (!others.isEmpty()) {
      metadata.put(NAMES, GgufValue.texts(others));
    }
    templates
        .sources()
        .forEach(
            (name, source) ->
                metadata.put(
                    name.equals(ChatTemplates.DEFAULT) ? TEMPLATE : TEMPLATE + "." + name,
                    GgufValue.text(source)));
    metadata.put(
        TEXTS,
        GgufValue.text(
            new String(JsonObject.write(templates.specialTokens()), StandardCharsets.UTF_8)));
    GgufValue tokens = metadata.get(GgufTokenizer.TOKENS);
    if (tokens != null && tokens.value() instanceof List<?> all) {
      templates
          .specialTokens()
          .forEach(
              (name, text) -> {
                int id = all.indexOf(text);
                String key = IDS.get(name);
                // The id that ends a text is the model's, which the tokenizer has written.
                if (id >= 0 && key != null && !key.equals(GgufArchitecture.END_OF_TEXT)) {
                  metadata.put(key, GgufValue.u32(id));
                }
              });
    }
  }
}
