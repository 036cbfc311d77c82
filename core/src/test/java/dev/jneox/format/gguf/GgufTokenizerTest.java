package dev.jneox.format.gguf;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.jneox.io.InputException;
import dev.jneox.model.Vocabulary;
import dev.jneox.tokenizer.BpeTrainer;
import dev.jneox.tokenizer.Tokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class GgufTokenizerTest {
  private static final Path FILE = Path.of("a.gguf");
  private static final ObjectMapper JSON = new ObjectMapper();

  /** The {@code tokenizer.json} of a BPE trained on a little text. */
  static String trained(int vocabSize) throws IOException {
    BpeTrainer trainer = new BpeTrainer(vocabSize);
    trainer.count(
        Files.readAllLines(Path.of("src/test/resources/tokenizer/sample.txt")).iterator());
    Path file = Files.createTempFile("trained", ".json");
    try {
      trainer.train(merge -> {}).write(file);
      return Files.readString(file);
    } finally {
      Files.delete(file);
    }
  }

  /**
   * Given the tokenizer's metadata without the tokenizer.json in it, so that the file has what
   * others write.
   */
  private static String rebuilt(String json, int vocabSize) {
    Map<String, GgufValue> values =
        new LinkedHashMap<>(GgufTokenizer.metadata(FILE, json, Vocabulary.of(vocabSize, 0)));
    values.remove("tokenizer.huggingface.json");
    return GgufTokenizer.json(FILE, new GgufMetadata(FILE, values)).orElseThrow();
  }

  private static void sameIds(String json, String other) throws IOException {
    try (Tokenizer expected = Tokenizer.parse(json, FILE);
        Tokenizer found = Tokenizer.parse(other, FILE)) {
      List<String> texts = Files.readAllLines(Path.of("src/test/resources/tokenizer/texts.jsonl"));
      assertThat(texts).hasSizeGreaterThan(10);
      for (String line : texts) {
        String text =
            JSON.readTree(line).path("text").asText() + "<|endoftext|>  \t\n x<|padding|>";
        assertThat(found.encode(text)).isEqualTo(expected.encode(text));
        assertThat(found.decode(found.encode(text)))
            .isEqualTo(expected.decode(expected.encode(text)));
      }
      assertThat(found.vocabSize()).isEqualTo(expected.vocabSize());
    }
  }

  @Test
  void tokenizerBuiltFromTokensAndMergesGivesTheSameIds() throws IOException {
    String json = trained(400);
    sameIds(json, rebuilt(json, 400));
    sameIds(json, rebuilt(json, 448));
  }

  @Test
  void spacesAsAddedTokensAfterTheVocabularyAndNfcSurvive() throws IOException {
    ObjectNode root = (ObjectNode) JSON.readTree(trained(400));
    root.putObject("normalizer").put("type", "NFC");
    for (int n = 2; n < 6; n++) {
      root.withArray("added_tokens")
          .addObject()
          .put("id", 398 + n)
          .put("content", " ".repeat(n))
          .put("single_word", false)
          .put("lstrip", false)
          .put("rstrip", false)
          .put("normalized", true)
          .put("special", false);
    }
    String json = root.toString();
    sameIds(json, rebuilt(json, 404));
    try (Tokenizer tokenizer = Tokenizer.parse(rebuilt(json, 404), FILE)) {
      assertThat(tokenizer.encode("   x")).startsWith(401);
      assertThat(tokenizer.encode("e\u0301")).isEqualTo(tokenizer.encode("\u00e9"));
    }
  }

  @Test
  void ownFilesHaveTheTokenizerItself() throws IOException {
    String json = trained(300);
    GgufMetadata metadata =
        new GgufMetadata(FILE, GgufTokenizer.metadata(FILE, json, Vocabulary.of(320, 0)));
    assertThat(GgufTokenizer.json(FILE, metadata)).contains(json);
    assertThat(GgufTokenizer.used(metadata, 320)).isEqualTo(300);
    GgufMetadata none =
        new GgufMetadata(FILE, GgufTokenizer.metadata(FILE, null, Vocabulary.of(320, -1)));
    assertThat(GgufTokenizer.json(FILE, none)).isEmpty();
    assertThat(GgufTokenizer.used(none, 320)).isEqualTo(320);
  }

  @Test
  void addedTokensWithoutARowAndFurtherEndsAreKeptWhereTheFormatHasAPlace() throws IOException {
    ObjectNode root = (ObjectNode) JSON.readTree(trained(300));
    ArrayNode added = (ArrayNode) root.get("added_tokens");
    added.addObject().put("id", 300).put("content", "<|user|>").put("special", true);
    Vocabulary vocabulary = Vocabulary.of(300, 0).withEnds(List.of(0, 7, 299, 8));
    GgufMetadata metadata =
        new GgufMetadata(FILE, GgufTokenizer.metadata(FILE, root.toString(), vocabulary));
    assertThat(metadata.texts("tokenizer.ggml.tokens")).hasSize(300).doesNotContain("<|user|>");
    assertThat(metadata.integer("tokenizer.ggml.eos_token_id", 0, 300)).isZero();
    assertThat(metadata.integer("tokenizer.ggml.eot_token_id", 0, 300)).isEqualTo(7);
    assertThat(metadata.integer("tokenizer.ggml.eom_token_id", 0, 300)).isEqualTo(299);
  }

  @Test
  void whatLlamaCppDoesNotKnowIsRefused() throws IOException {
    ObjectNode prefix = (ObjectNode) JSON.readTree(trained(300));
    ((ObjectNode) prefix.get("pre_tokenizer")).put("add_prefix_space", true);
    refused(prefix.toString(), 300, "pre_tokenizer", "add_prefix_space");
    ObjectNode lower = (ObjectNode) JSON.readTree(trained(300));
    lower.putObject("normalizer").put("type", "Lowercase");
    refused(lower.toString(), 300, "normalizer", "Lowercase");
    ObjectNode wordPiece = (ObjectNode) JSON.readTree(trained(300));
    ((ObjectNode) wordPiece.get("model")).put("type", "WordPiece");
    refused(wordPiece.toString(), 300, "model", "WordPiece");
    refused(trained(300), 299, "an id below the model's vocabulary of 299");
    refused("{", 300, "not valid JSON");
  }

  private static void refused(String json, int vocabSize, String... says) {
    assertThatThrownBy(() -> GgufTokenizer.metadata(FILE, json, Vocabulary.of(vocabSize, 0)))
        .isInstanceOf(InputException.class)
        .hasMessageStartingWith("a.gguf: ")
        .hasMessageContainingAll(says);
  }

  @Test
  void brokenMetadataIsNamed() {
    Map<String, GgufValue> values = new LinkedHashMap<>();
    values.put("tokenizer.ggml.model", GgufValue.text("llama"));
    broken(values, "tokenizer.ggml.model", "gpt2", "llama");
    values.put("tokenizer.ggml.model", GgufValue.text("gpt2"));
    broken(values, "tokenizer.ggml.tokens", "no such key");
    values.put("tokenizer.ggml.tokens", GgufValue.texts(List.of("a", "b", "a")));
    broken(values, "tokenizer.ggml.merges", "no such key");
    values.put("tokenizer.ggml.merges", GgufValue.texts(List.of()));
    broken(values, "tokenizer.ggml.tokens, element 2", "\"a\" again");
    values.put("tokenizer.ggml.token_type", GgufValue.i32s(new int[] {1}));
    broken(values, "tokenizer.ggml.token_type", "one value for each of the 3 tokens");
    values.put("tokenizer.ggml.pre", GgufValue.text("llama-bpe"));
    broken(values, "tokenizer.ggml.pre", "gpt-2", "llama-bpe");
  }

  private static void broken(Map<String, GgufValue> values, String... says) {
    assertThatThrownBy(() -> GgufTokenizer.json(FILE, new GgufMetadata(FILE, values)))
        .isInstanceOf(InputException.class)
        .hasMessageContainingAll(says);
  }
}
