package dev.jneox.format.gguf;

import static dev.jneox.io.JsonObject.quoted;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.jneox.io.InputException;
import dev.jneox.io.JsonObject;
import dev.jneox.model.Vocabulary;
import java.io.IOException;
import java.io.StringWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Converts between the tokenizer in a GGUF file and the {@code tokenizer.json} of HF tokenizers.
 * The file has the tokens in the order of ids, the kind of each, the merges, and in {@code
 * tokenizer.ggml.pre} the name of the rule that splits text into words. We also write the {@code
 * tokenizer.json} itself, under the format's key for it, and read that first.
 */
final class GgufTokenizer {
  private static final String MODEL = "tokenizer.ggml.model";
  private static final String SPLIT = "tokenizer.ggml.pre";
  static final String TOKENS = "tokenizer.ggml.tokens";
  private static final String KINDS = "tokenizer.ggml.token_type";
  private static final String MERGES = "tokenizer.ggml.merges";
  private static final String JSON = "tokenizer.huggingface.json";

  /** The byte-level BPE of GPT-2, as the key {@link #MODEL} calls it. */
  private static final String BYTE_LEVEL = "gpt2";

  private static final String NONE = "no_vocab";

  /**
   * The names of GPT-2's splitting pattern. Files older than the names have none, or {@code
   * default}; they mean the pattern that the models of our architectures were trained with,
   * although llama.cpp splits otherwise.
   */
  private static final Set<String> GPT2_SPLITS =
      Set.of("gpt-2", "phi-2", "jais", "olmo", "mpt", "default");

  /** The names of tokenizers made from GPT-NeoX-20B's, which normalizes text to form C first. */
  private static final Set<String> NFC_SPLITS = Set.of("olmo", "mpt");

  // Kinds of tokens.
  private static final int NORMAL = 1;
  private static final int CONTROL = 3;
  private static final int USER_DEFINED = 4;
  private static final int UNUSED = 5;

  private static final JsonMapper MAPPER = JsonMapper.builder(JsonObject.JSON).build();

  private GgufTokenizer() {}

  /**
   * Returns how many ids the tokenizer uses. Padding at the end is marked unused; without a
   * tokenizer all ids count.
   */
  static int used(GgufMetadata metadata, int vocabSize) {
    List<String> tokens = metadata.texts(TOKENS);
    if (tokens == null) {
      return vocabSize;
    }
    if (tokens.size() != vocabSize) {
      throw metadata.wrong(TOKENS, vocabSize + " tokens, the rows of token_embd.weight");
    }
    long[] kinds = kinds(metadata, tokens.size());
    int used = tokens.size();
    while (used > 1 && kinds[used - 1] == UNUSED) {
      used--;
    }
    return used;
  }

  /** Returns whether text is normalized to form C first. */
  static boolean normalizes(Map<String, GgufValue> metadata) {
    return NFC_SPLITS.contains(Objects.requireNonNull(metadata.get(SPLIT)).value());
  }

  private static long[] kinds(GgufMetadata metadata, int tokens) {
    long[] kinds = metadata.integers(KINDS);
    if (kinds == null) {
      kinds = new long[tokens];
      Arrays.fill(kinds, NORMAL);
      for (String special : List.of("bos", "eos", "unknown", "padding")) {
        String key = "tokenizer.ggml." + special + "_token_id";
        if (metadata.has(key)) {
          kinds[metadata.integer(key, 0, tokens - 1)] = CONTROL;
        }
      }
    }
    if (kinds.length != tokens) {
      throw metadata.wrong(KINDS, "one value for each of the " + tokens + " tokens");
    }
    return kinds;
  }

  /** Builds the {@code tokenizer.json} of a file; empty where the file has no tokenizer. */
  static Optional<String> json(Path file, GgufMetadata metadata) {
    String json = metadata.text(JSON);
    if (json != null) {
      return Optional.of(json);
    }
    String model = metadata.text(MODEL);
    if (model == null || model.equals(NONE)) {
      return Optional.empty();
    }
    if (!model.equals(BYTE_LEVEL)) {
      throw metadata.wrong(MODEL, BYTE_LEVEL + ", byte-level BPE");
    }
    String split = metadata.text(SPLIT);
    if (split != null && !GPT2_SPLITS.contains(split)) {
      throw metadata.wrong(
          SPLIT,
          "a name for GPT-2's pattern: "
              + String.join(", ", GPT2_SPLITS.stream().sorted().toList()));
    }
    List<String> tokens = metadata.texts(TOKENS);
    List<String> merges = metadata.texts(MERGES);
    if (tokens == null || merges == null) {
      throw metadata.wrong(tokens == null ? TOKENS : MERGES, "an array of texts");
    }
    int used = used(metadata, tokens.size());
    Map<String, Integer> vocab = LinkedHashMap.newLinkedHashMap(used);
    for (int id = 0; id < used; id++) {
      if (vocab.put(tokens.get(id), id) != null) {
        throw InputException.in(
            file,
            "key " + TOKENS + ", element " + id,
            "each token once",
            quoted(tokens.get(id)) + " again");
      }
    }
    return Optional.of(
        json(
            vocab,
            kinds(metadata, tokens.size()),
            merges,
            split != null && NFC_SPLITS.contains(split)));
  }

  private static String json(
      Map<String, Integer> vocab, long[] kinds, List<String> merges, boolean nfc) {
    StringWriter text = new StringWriter();
    try (JsonGenerator json = JsonObject.JSON.createGenerator(text)) {
      json.writeStartObject();
      json.writeStringField("version", "1.0");
      json.writeArrayFieldStart("added_tokens");
      for (Map.Entry<String, Integer> token : vocab.entrySet()) {
        long kind = kinds[token.getValue()];
        if (kind == CONTROL || kind == USER_DEFINED) {
          added(json, token.getKey(), token.getValue(), kind == CONTROL);
        }
      }
      json.writeEndArray();
      if (nfc) {
        json.writeObjectFieldStart("normalizer");
        json.writeStringField("type", "NFC");
        json.writeEndObject();
      }
      for (String part : List.of("pre_tokenizer", "post_processor", "decoder")) {
        json.writeObjectFieldStart(part);
        json.writeStringField("type", "ByteLevel");
        json.writeBooleanField("add_prefix_space", false);
        json.writeBooleanField("trim_offsets", true);
        json.writeBooleanField("use_regex", true);
        json.writeEndObject();
      }
      json.writeObjectFieldStart("model");
      json.writeStringField("type", "BPE");
      json.writeObjectFieldStart("vocab");
      for (Map.Entry<String, Integer> token : vocab.entrySet()) {
        json.writeNumberField(token.getKey(), token.getValue());
      }
      json.writeEndObject();
      json.writeArrayFieldStart("merges");
      for (String merge : merges) {
        json.writeString(merge);
      }
      json.writeEndArray();
      json.writeEndObject();
      json.writeEndObject();
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
    return text.toString();
  }

  /**
   * Writes an added token. The file does not state its flags, so they are those of GPT-NeoX-20B:
   * special tokens are not normalized, others are.
   */
  private static void added(JsonGenerator json, String content, int id, boolean special)
      throws IOException {
    json.writeStartObject();
    json.writeNumberField("id", id);
    json.writeStringField("content", content);
    json.writeBooleanField("single_word", false);
    json.writeBooleanField("lstrip", false);
    json.writeBooleanField("rstrip", false);
    json.writeBooleanField("normalized", !special);
    json.writeBooleanField("special", special);
    json.writeEndObject();
  }

  /**
   * Builds the metadata for a tokenizer.
   *
   * @param file to be written, named in errors
   * @param json the text of its {@code tokenizer.json}, or null
   * @param vocabulary of the model; rows past the tokenizer's ids become unused tokens
   * @throws InputException when llama.cpp cannot do what the tokenizer does
   */
  static Map<String, GgufValue> metadata(Path file, @Nullable String json, Vocabulary vocabulary) {
    int vocabSize = vocabulary.rows();
    int endOfText = vocabulary.endOfText();
    Map<String, GgufValue> values = new LinkedHashMap<>();
    if (json == null) {
      values.put(MODEL, GgufValue.text(NONE));
    } else {
      JsonNode root = parse(file, json);
      values.put(MODEL, GgufValue.text(BYTE_LEVEL));
      values.put(SPLIT, GgufValue.text(split(file, root)));
      tokens(file, root, vocabSize, values);
      values.put(MERGES, GgufValue.texts(merges(file, root)));
      values.put("tokenizer.ggml.add_bos_token", GgufValue.flag(false));
      values.put("tokenizer.ggml.add_eos_token", GgufValue.flag(false));
      values.put(JSON, GgufValue.text(json));
    }
    if (endOfText >= 0) {
      values.put("tokenizer.ggml.bos_token_id", GgufValue.u32(endOfText));
      values.put(GgufArchitecture.END_OF_TEXT, GgufValue.u32(endOfText));
    }
    // The format has keys for two further ids, which llama.cpp stops at as well.
    Iterator<String> keys =
        List.of(GgufArchitecture.END_OF_TURN, GgufArchitecture.END_OF_MESSAGE).iterator();
    for (int end : vocabulary.ends()) {
      if (end != endOfText && end < vocabSize && keys.hasNext()) {
        values.put(keys.next(), GgufValue.u32(end));
      }
    }
    return values;
  }

  private static JsonNode parse(Path file, String json) {
    try {
      return MAPPER.readTree(json);
    } catch (JsonProcessingException e) {
      throw new InputException(
          file + ": the tokenizer.json to put into it is not valid JSON: " + JsonObject.problem(e),
          e);
    }
  }

  private static InputException refused(Path file, String place, String expected, JsonNode found) {
    return InputException.in(
        file,
        "the tokenizer.json to put into it, " + place,
        expected + ", which llama.cpp knows",
        found.isMissingNode() ? "nothing" : JsonObject.shortened(found.toString()));
  }

  private static String split(Path file, JsonNode root) {
    JsonNode split = root.path("pre_tokenizer");
    boolean gpt2 =
        "ByteLevel".equals(split.path("type").textValue())
            && !split.path("add_prefix_space").asBoolean()
            && split.path("use_regex").asBoolean(true);
    if (!gpt2) {
      throw refused(file, "pre_tokenizer", "ByteLevel without add_prefix_space", split);
    }
    JsonNode normalizer = root.path("normalizer");
    boolean nfc = "NFC".equals(normalizer.path("type").textValue());
    if (!nfc && !normalizer.isNull() && !normalizer.isMissingNode()) {
      throw refused(file, "normalizer", "none or NFC", normalizer);
    }
    return nfc ? "olmo" : "gpt-2";
  }

  private static void tokens(
      Path file, JsonNode root, int vocabSize, Map<String, GgufValue> values) {
    String[] tokens = new String[vocabSize];
    int[] kinds = new int[vocabSize];
    Arrays.fill(kinds, UNUSED);
    for (Map.Entry<String, JsonNode> token : root.path("model").path("vocab").properties()) {
      token(file, token.getKey(), token.getValue(), NORMAL, tokens, kinds);
    }
    for (JsonNode added : root.path("added_tokens")) {
      int kind = added.path("special").asBoolean() ? CONTROL : USER_DEFINED;
      if (added.path("id").isInt() && added.path("id").intValue() >= vocabSize) {
        continue; // the model has no row for it, llama.cpp no place
      }
      token(file, added.path("content").asText(), added.path("id"), kind, tokens, kinds);
    }
    Map<String, Integer> seen = new HashMap<>();
    for (int id = 0; id < vocabSize; id++) {
      // As llama.cpp's own converter names the rows of a padded embedding.
      tokens[id] = tokens[id] == null ? "[PAD" + id + "]" : tokens[id];
      Integer before = seen.put(tokens[id], id);
      if (before != null) {
        throw refused(
            file,
            "token " + quoted(tokens[id]),
            "each token once",
            MAPPER.createArrayNode().add(before).add(id));
      }
    }
    values.put(TOKENS, GgufValue.texts(List.of(tokens)));
    values.put(KINDS, GgufValue.i32s(kinds));
  }

  private static void token(
      Path file, String content, JsonNode id, int kind, String[] tokens, int[] kinds) {
    if (!id.isInt() || id.intValue() < 0 || id.intValue() >= tokens.length) {
      throw refused(
          file,
          "token " + quoted(content),
          "an id below the model's vocabulary of " + tokens.length,
          id);
    }
    tokens[id.intValue()] = content;
    kinds[id.intValue()] = kind;
  }

  /** Reads the merges. Old files write "a b", new ones ["a", "b"]. */
  private static List<String> merges(Path file, JsonNode root) {
    JsonNode model = root.path("model");
    if (!"BPE".equals(model.path("type").textValue()) || !model.path("merges").isArray()) {
      throw refused(file, "model", "a BPE with its merges", model.path("type"));
    }
    List<String> merges = new ArrayList<>(model.path("merges").size());
    for (JsonNode merge : model.path("merges")) {
      merges.add(
          merge.isTextual()
              ? merge.textValue()
              : merge.path(0).asText() + " " + merge.path(1).asText());
    }
    return merges;
  }
}
