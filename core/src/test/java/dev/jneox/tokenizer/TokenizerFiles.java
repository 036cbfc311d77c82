package dev.jneox.tokenizer;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Consumer;

/** Small tokenizers with the features of published ones, for the tests. */
final class TokenizerFiles {
  static final JsonMapper JSON = JsonMapper.builder().build();

  /** As BpeTrainer writes it. */
  static final ObjectNode PLAIN = plain();

  /**
   * As GPT-NeoX-20B's file: normal form C, and runs of spaces as added tokens that are looked for
   * in the normalized text.
   */
  static final ObjectNode NEOX =
      change(
          PLAIN,
          file -> {
            file.putObject("normalizer").put("type", "NFC");
            for (int spaces = 24; spaces >= 2; spaces--) {
              add(file, " ".repeat(spaces), false, false, false, true);
            }
          });

  /** A space put before each piece that has none. */
  static final ObjectNode PREFIX_SPACE =
      change(NEOX, file -> file.withObject("/pre_tokenizer").put("add_prefix_space", true));

  /** No split into words. */
  static final ObjectNode NO_PATTERN =
      change(PLAIN, file -> file.withObject("/pre_tokenizer").put("use_regex", false));

  /** Added tokens of every kind, some within others, some changed by normalization. */
  static final ObjectNode ADDED =
      change(
          PLAIN,
          file -> {
            file.putObject("normalizer").put("type", "NFC");
            add(file, "<w>", true, false, false, false);
            add(file, "<l>", false, true, false, false);
            add(file, "<r>", false, false, true, false);
            add(file, "<lr>", true, true, true, true);
            add(file, "<l><r>", false, true, true, true);
            add(file, "the", true, false, false, true);
            add(file, "then", false, false, false, true);
            add(file, "e\u0301t", false, false, false, true);
            add(file, "o\u0301", false, false, false, false);
            add(file, "é", false, false, true, false);
            add(file, "  ", false, false, false, true);
            add(file, "世", true, true, false, false);
            add(file, "\n", false, false, true, true);
          });

  static final List<ObjectNode> ALL = List.of(PLAIN, NEOX, PREFIX_SPACE, NO_PATTERN, ADDED);

  private TokenizerFiles() {}

  private static ObjectNode plain() {
    BpeTrainer trainer = new BpeTrainer(800);
    trainer.count(List.of(resource("sample.txt")).iterator());
    try {
      return (ObjectNode) JSON.readTree(trainer.train(merges -> {}).json());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  static ObjectNode change(ObjectNode file, Consumer<ObjectNode> change) {
    ObjectNode changed = file.deepCopy();
    change.accept(changed);
    return changed;
  }

  static void add(
      ObjectNode file,
      String content,
      boolean singleWord,
      boolean lstrip,
      boolean rstrip,
      boolean normalized) {
    JsonNode vocabulary = file.at("/model/vocab");
    int next = vocabulary.size();
    for (JsonNode token : file.withArray("added_tokens")) {
      next = Math.max(next, token.get("id").intValue() + 1);
    }
    file.withArray("added_tokens")
        .addObject()
        .put("id", vocabulary.path(content).asInt(next))
        .put("content", content)
        .put("single_word", singleWord)
        .put("lstrip", lstrip)
        .put("rstrip", rstrip)
        .put("normalized", normalized)
        .put("special", content.startsWith("<"));
  }

  static String resource(String name) {
    try (InputStream in = TokenizerFiles.class.getResourceAsStream("/tokenizer/" + name)) {
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Writes a tokenizer to a temporary file for the time that {@code use} takes. */
  static void withFile(String json, Consumer<Path> use) {
    try {
      Path path = Files.createTempFile("tokenizer", ".json");
      try {
        Files.writeString(path, json);
        use.accept(path);
      } finally {
        Files.delete(path);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
