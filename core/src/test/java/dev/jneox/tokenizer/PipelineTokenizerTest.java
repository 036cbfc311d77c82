package dev.jneox.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.jneox.io.InputException;
import dev.jneox.io.JneoxException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import org.jspecify.annotations.NullUnmarked;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/**
 * The general tokenizer against the library: both read the same file, so every id and every decoded
 * text must be the same. Where the library would bring the JVM down it is not asked.
 */
@Tag("slow")
@net.jqwik.api.Tag("slow")
@NullUnmarked // a test fails by itself where a value is absent
class PipelineTokenizerTest {
  private static final Path FILE = Path.of("tokenizer.json");
  private static final Map<String, ObjectNode> PUBLISHED = Pipelines.published();

  private static PipelineTokenizer load(JsonNode json) {
    return PipelineTokenizer.of(TokenizerFile.of(FILE, json.toString()));
  }

  private static List<String> parityTexts() throws Exception {
    List<String> texts = new ArrayList<>();
    for (String line : TokenizerFiles.resource("texts.jsonl").lines().toList()) {
      texts.add(TokenizerFiles.JSON.readTree(line).get("text").textValue());
    }
    return texts;
  }

  private static void agree(String kind, PipelineTokenizer ours, HfTokenizer library, String text) {
    int[] expected;
    try {
      expected = library.encode(text);
    } catch (JneoxException e) {
      assertThatThrownBy(() -> ours.encode(text))
          .as("%s: %s", kind, text)
          .isInstanceOf(InputException.class)
          .hasMessageContaining("tokenizer.json");
      return;
    }
    assertThat(ours.encode(text)).as("%s: %s", kind, text).isEqualTo(expected);
    String decoded = library.decode(expected);
    assertThat(ours.decode(expected)).as("%s: %s", kind, text).isEqualTo(decoded);
    StreamingDecoder stream = new StreamingDecoder(ours);
    StringBuilder pieces = new StringBuilder();
    for (int id : expected) {
      pieces.append(stream.next(id));
    }
    assertThat(pieces.append(stream.finish()).toString()).as(kind).isEqualTo(decoded);
  }

  @Test
  void publishedKindsAgreeWithTheLibrary() throws Exception {
    List<String> texts = parityTexts();
    Random random = new Random(3);
    IntStream.range(0, 60).forEach(i -> texts.add(Pipelines.text(random)));
    texts.add(TokenizerFiles.resource("sample.txt"));
    texts.add("");
    PUBLISHED.forEach(
        (kind, json) -> {
          PipelineTokenizer ours = load(json);
          try (HfTokenizer library = HfTokenizer.of(FILE, json.toString())) {
            texts.forEach(text -> agree(kind, ours, library, text));
          }
        });
  }

  /**
   * The seeds are always the same: the library aborts the JVM where a normalizer puts a text before
   * the first character, and others that are not known may do so too.
   */
  @Property(tries = 250, seed = "1")
  void randomPartsAgreeWithTheLibrary(@ForAll @IntRange(max = 2399) int seed) {
    Random random = new Random(seed);
    ObjectNode json = Pipelines.random(random);
    PipelineTokenizer ours;
    try {
      ours = load(json);
    } catch (JneoxException e) {
      // An added token that normalization takes away would be found between any two characters.
      assertThat(e).hasMessageContainingAll("key added_tokens", "something left of it");
      return;
    }
    try (HfTokenizer library = HfTokenizer.of(FILE, json.toString())) {
      for (int i = 0; i < 15; i++) {
        agree("seed " + seed, ours, library, Pipelines.text(random));
      }
    }
  }

  @Test
  void theFastTokenizerIsTheGeneralOneForItsFiles() throws Exception {
    for (ObjectNode json : TokenizerFiles.ALL) {
      PipelineTokenizer general = load(json);
      Tokenizer fast = ByteLevelBpe.of(TokenizerFile.of(FILE, json.toString())).orElseThrow();
      assertThat(general.vocabSize()).isEqualTo(fast.vocabSize());
      for (String text : parityTexts()) {
        int[] ids = fast.encode(text);
        assertThat(general.encode(text)).isEqualTo(ids);
        assertThat(general.decode(ids)).isEqualTo(fast.decode(ids));
      }
    }
  }

  /** A tokenizer that writes the normalized text as bytes, one piece after the other. */
  private static ObjectNode bytes(JsonNode normalizer, JsonNode preTokenizer) {
    ObjectNode model =
        TokenizerFiles.JSON.createObjectNode().put("type", "BPE").put("byte_fallback", true);
    model.putArray("merges");
    for (int b = 0; b < 256; b++) {
      model.withObject("/vocab").put(BpeModel.byteToken(b), b);
    }
    return Pipelines.file(normalizer, preTokenizer, null, model);
  }

  @Test
  void everyCharacterIsTreatedAsTheLibraryTreatsIt() {
    List<ObjectNode> kinds = new ArrayList<>();
    for (String type : List.of("Lowercase", "StripAccents", "Nmt", "NFD", "NFKD", "NFKC")) {
      kinds.add(bytes(Pipelines.json("{'type': '" + type + "'}"), null));
    }
    String bert =
        "{'type': 'BertNormalizer', 'clean_text': %s, 'handle_chinese_chars': %<s,"
            + " 'strip_accents': %s, 'lowercase': false}";
    kinds.add(bytes(Pipelines.json(bert.formatted(true, false)), null));
    kinds.add(bytes(Pipelines.json(bert.formatted(false, true)), null));
    for (String type :
        List.of(
            "'Punctuation', 'behavior': 'Removed'",
            "'WhitespaceSplit'",
            "'Whitespace'",
            "'BertPreTokenizer'")) {
      kinds.add(bytes(null, Pipelines.json("{'type': " + type + "}")));
    }
    kinds.add(
        bytes(
            null,
            Pipelines.sequence(
                "pretokenizers",
                Pipelines.json("{'type': 'Digits', 'individual_digits': true}"),
                Pipelines.split("\\A(?m:.)\\z", "Removed", false))));
    for (String set :
        List.of(
            "\\w",
            "\\d",
            "\\s",
            "\\p{L}",
            "\\p{M}",
            "\\p{N}",
            "\\p{P}",
            "\\p{Lu}",
            "\\p{^Cn}",
            "[[:punct:]]",
            "[[:alpha:]]",
            "[[:upper:]]",
            "\\p{Han}",
            "(?i:[a-zσ])",
            "\\R")) {
      kinds.add(bytes(null, Pipelines.split(set, "Removed", false)));
    }
    List<String> texts = new ArrayList<>();
    for (int from = 0; from <= Character.MAX_CODE_POINT; from += 4096) {
      StringBuilder text = new StringBuilder();
      for (int c = from; c < from + 4096; c++) {
        // Unassigned and private planes are sampled: they hold nothing but gaps.
        boolean all = c < 0x18000 || c >= 0x1B000 && c < 0x20000 || c >= 0xE0000 && c < 0xE0200;
        if ((all || c % 256 == 0) && !(c >= 0xAC20 && c < 0xD700 || c >= 0x4E20 && c < 0x9F00)) {
          // Digits are told from others by standing alone.
          text.append("ab").appendCodePoint(c);
        }
      }
      texts.add(text.append("ab").toString());
    }
    for (ObjectNode json : kinds) {
      PipelineTokenizer ours = load(json);
      try (HfTokenizer library = HfTokenizer.of(FILE, json.toString())) {
        for (String text : texts) {
          String kind = json.get("normalizer") + " " + json.get("pre_tokenizer") + " ";
          assertThat(parts(kind, ours.encode(text))).isEqualTo(parts(kind, library.encode(text)));
        }
      }
    }
  }

  /** The texts between "ab" and "ab", of which a failure shows those that differ. */
  private static List<String> parts(String kind, int[] bytes) {
    byte[] utf8 = new byte[bytes.length];
    for (int i = 0; i < utf8.length; i++) {
      utf8[i] = (byte) bytes[i];
    }
    List<String> parts = new ArrayList<>();
    for (String part : new String(utf8, StandardCharsets.UTF_8).split("ab", -1)) {
      parts.add(kind + part);
    }
    return parts;
  }

  // --- hostile files and texts

  private static void refused(JsonNode json, String... parts) {
    assertThatThrownBy(() -> load(json))
        .isInstanceOf(InputException.class)
        .hasMessageStartingWith("tokenizer.json: ")
        .hasMessageContainingAll(parts);
  }

  private static ObjectNode change(String kind, Consumer<ObjectNode> change) {
    return TokenizerFiles.change(PUBLISHED.get(kind), change);
  }

  private static JsonNode model(String model) {
    return Pipelines.file(null, null, null, Pipelines.json(model));
  }

  @Test
  void whatIsNotKnownIsNamed() {
    refused(change("T5", file -> file.put("version", "2.0")), "key version", "1.0", "2.0");
    refused(
        change("T5", file -> file.putObject("normalizer").put("type", "Magic")),
        "key normalizer.type",
        "NFC",
        "Magic");
    refused(
        change(
            "T5",
            file ->
                file.set("pre_tokenizer", Pipelines.preTokenizers("{'type': 'UnicodeScripts'}"))),
        "key pre_tokenizer.pretokenizers[0].type",
        "UnicodeScripts");
    refused(change("T5", file -> file.put("decoder", "\uD800")), "key decoder", "an object");
    refused(
        change("T5", file -> file.putObject("post_processor").put("type", "Magic")),
        "key post_processor.type");
    refused(
        change("T5", file -> file.withObject("/model").put("unk_id", 100_000)), "key model.unk_id");
    refused(
        change("BERT true", file -> file.withObject("/model").remove("continuing_subword_prefix")),
        "key model.continuing_subword_prefix",
        "a string",
        "nothing");
    refused(
        change("Llama 2", file -> file.withObject("/model").put("dropout", 0.1)),
        "key model.dropout",
        "0.1");
    refused(
        change("Llama 2", file -> file.withObject("/model/vocab").put("zz", 1)),
        "key model.vocab, token",
        "an id of its own");
    refused(
        change("Llama 2", file -> file.withObject("/model").put("continuing_subword_prefix", "##")),
        "key model.merges, entry 0",
        "begins with ##");
    refused(
        change("Llama 2", file -> file.withObject("/model").put("type", "Unigram")),
        "key model.vocab",
        "an array");
    refused(
        change("Llama 2", file -> file.withObject("/model").remove("merges")), "key model.merges");
    refused(
        change("Llama 2", file -> file.withArray("/model/merges").add("a b")),
        "key model.merges, entry 150",
        "a b");
    refused(
        change("T5", file -> file.withArray("/model/vocab").addArray().add("x").add("y")),
        "key model.vocab, entry");
    refused(
        change("Mistral", file -> file.withObject("/pre_tokenizer").put("add_prefix_space", false)),
        "key pre_tokenizer.prepend_scheme",
        "never");
    refused(
        change("Llama 2", file -> TokenizerFiles.add(file, "\uD800", false, false, false, false)),
        "half of a surrogate pair");
    for (String pattern :
        List.of(
            "(a)\\1",
            "(?x) a",
            "a{3,2}",
            "[b-a]",
            "\\p{Nope}",
            "(?<=a+)b",
            "(",
            ")",
            "[a",
            "*",
            "\\",
            "(?i:ss)",
            "(?i:ß)",
            "(?~a)",
            "\\X",
            "a{200000}",
            "(?:(?:a{999}){999}){999}",
            "(".repeat(200) + ")".repeat(200),
            "\\xC3",
            "a|(?R)",
            "a" + "?".repeat(9000),
            "(?i)".repeat(300),
            "[[:nope:]]")) {
      refused(
          change(
              "Llama 3",
              file -> file.set("pre_tokenizer", Pipelines.split(pattern, "Isolated", false))),
          "key pre_tokenizer.pattern.Regex");
    }
    for (String part : List.of("normalizers", "pretokenizers", "decoders")) {
      JsonNode[] parts = new JsonNode[50_000];
      String type = part.equals("normalizers") ? "{'type': 'NFC'}" : Pipelines.BYTES;
      Arrays.fill(parts, Pipelines.json(type));
      String key = part.equals("pretokenizers") ? "pre_tokenizer" : part.replace("rs", "r");
      refused(
          change("T5", file -> file.set(key, Pipelines.sequence(part, parts))),
          "key " + key,
          "at most 100 parts");
    }
    refused(
        change("words", file -> file.withObject("/model/vocab").put("far", 2_000_000_000)),
        "key model.vocab",
        "2000000000");
    for (String table : List.of("AAAAAA==", "", "*", "/////w==", "BAAAAAAAAAD/")) {
      refused(
          change(
              "T5",
              file ->
                  file.putObject("normalizer")
                      .put("type", "Precompiled")
                      .put("precompiled_charsmap", table)),
          "key normalizer.precompiled_charsmap");
    }
  }

  @Test
  void oldFilesHaveNoTypeOfModel() {
    for (String kind : List.of("Llama 2", "BERT true", "words", "T5")) {
      ObjectNode json = change(kind, file -> file.withObject("/model").remove("type"));
      assertThat(load(json).encode("the words of the café"))
          .isEqualTo(load(PUBLISHED.get(kind)).encode("the words of the café"));
    }
  }

  @Test
  void aTextThatCannotBeWrittenIsRefused() {
    for (JsonNode json :
        List.of(
            model("{'type': 'Unigram', 'vocab': [['a', -1]]}"),
            model("{'type': 'WordLevel', 'unk_token': 'u', 'vocab': {'a': 0}}"),
            model(
                "{'type': 'WordPiece', 'unk_token': 'u', 'continuing_subword_prefix': '',"
                    + " 'max_input_chars_per_word': 9, 'vocab': {'a': 0}}"),
            model("{'type': 'BPE', 'unk_token': 'u', 'vocab': {'a': 0}, 'merges': []}"))) {
      PipelineTokenizer ours = load(json);
      assertThat(ours.encode("a")).containsExactly(0);
      assertThatThrownBy(() -> ours.encode("b"))
          .isInstanceOf(InputException.class)
          .hasMessageContainingAll("tokenizer.json: key model.unk_", "a token of the vocabulary");
      assertThat(ours.encode("a")).containsExactly(0);
    }
  }

  @Test
  void aBrokenTableIsRefusedWhereItIsMet() {
    // One unit that leads out of the array, and one whose text would begin behind all texts.
    for (int[] units : new int[][] {{1 << 20 << 10}, {1 << 10, 0}}) {
      ByteBuffer table = ByteBuffer.allocate(4 + 4 * 256 + 2).order(ByteOrder.LITTLE_ENDIAN);
      table.putInt(4 * 256);
      table.putInt(4, units[0]);
      if (units.length > 1) {
        table.putInt(4 + 4 * (1 ^ 'b'), 'b' | 1 << 8 | 5 << 10);
        table.putInt(4 + 4 * (1 ^ 'b' ^ 5), 1 << 31 | 1_000_000);
      }
      table.putInt(0, 4 * 256);
      String text = Base64.getEncoder().encodeToString(table.array());
      ObjectNode json =
          change(
              "T5",
              file ->
                  file.putObject("normalizer")
                      .put("type", "Precompiled")
                      .put("precompiled_charsmap", text));
      json.withArray("added_tokens").removeAll();
      assertThatThrownBy(() -> load(json).encode("bad"))
          .isInstanceOf(InputException.class)
          .hasMessageContaining("key normalizer.precompiled_charsmap");
    }
  }

  @Test
  void rulesThatExplodeEndInOneLine() {
    List<ObjectNode> files = new ArrayList<>();
    files.add(
        change(
            "Llama 3",
            file ->
                file.set(
                    "pre_tokenizer", Pipelines.split("(a+)+$|(?=(a|aa)+b)x", "Isolated", false))));
    files.add(
        change(
            "Llama 3",
            file -> file.set("pre_tokenizer", Pipelines.split("(?:a|a|a)*?c", "Isolated", false))));
    JsonNode[] doubling = new JsonNode[60];
    Arrays.fill(
        doubling,
        Pipelines.json("{'type': 'Replace', 'pattern': {'String': 'a'}, 'content': 'aa'}"));
    files.add(
        change(
            "words",
            file -> {
              file.set("normalizer", Pipelines.sequence("normalizers", doubling));
              file.withArray("added_tokens").removeAll();
            }));
    JsonNode[] bytes = new JsonNode[60];
    Arrays.fill(bytes, Pipelines.json(Pipelines.BYTES));
    files.add(
        change(
            "Llama 3",
            file -> file.set("pre_tokenizer", Pipelines.sequence("pretokenizers", bytes))));
    for (ObjectNode json : files) {
      PipelineTokenizer ours = load(json);
      assertTimeoutPreemptively(
          Duration.ofSeconds(10),
          () ->
              assertThatThrownBy(() -> ours.encode("a".repeat(47) + "é!"))
                  .isInstanceOf(InputException.class)
                  .hasMessageStartingWith("tokenizer.json: the rules for a text"));
      assertThat(ours.encode("b")).isNotNull();
    }
  }

  @Test
  void longTextsTakeTimeInProportion() {
    for (String unit :
        List.of("a", " ", "\n", "é", "世", "-", "<m", "x1", "e\u0301", "\u0301\u0323", "'s")) {
      String text = unit.repeat(30_000 / unit.length());
      PUBLISHED.forEach(
          (kind, json) -> {
            PipelineTokenizer ours = load(json);
            assertTimeoutPreemptively(Duration.ofSeconds(10), () -> ours.encode(text), kind);
          });
    }
  }

  @Test
  void manyAndLongAddedTokensTakeTimeInProportion() {
    ObjectNode json =
        change(
            "Llama 2",
            file -> {
              for (int i = 0; i < 2000; i++) {
                TokenizerFiles.add(
                    file,
                    "<" + "abcdefgh".substring(i % 8) + i + ">",
                    false,
                    false,
                    false,
                    i % 2 == 0);
              }
              TokenizerFiles.add(file, "x".repeat(20_000), false, false, false, false);
              TokenizerFiles.add(file, "x".repeat(19_999) + "y", false, false, false, false);
            });
    assertTimeoutPreemptively(
        Duration.ofSeconds(10),
        () -> {
          PipelineTokenizer ours = load(json);
          assertThat(ours.encode("x".repeat(19_999) + "yx")).hasSize(2 + 1);
          ours.encode("x".repeat(1_000_000));
        });
  }

  @Test
  void severalThreadsGetWhatOneGets() throws Exception {
    PipelineTokenizer ours = load(PUBLISHED.get("T5"));
    List<String> texts = parityTexts();
    List<int[]> alone = texts.stream().map(ours::encode).toList();
    IntStream.range(0, 10 * texts.size())
        .parallel()
        .forEach(
            i ->
                assertThat(ours.encode(texts.get(i % texts.size())))
                    .isEqualTo(alone.get(i % texts.size())));
  }

  @Test
  void textIsStreamedAsSoonAsItIsCertain() {
    PipelineTokenizer llama = load(PUBLISHED.get("Llama 2"));
    StreamingDecoder stream = new StreamingDecoder(llama);
    List<String> pieces = new ArrayList<>();
    for (int id : llama.encode("so 🤖 it")) {
      pieces.add(stream.next(id));
    }
    pieces.add(stream.finish());
    assertThat(String.join("", pieces)).isEqualTo("so 🤖 it");
    // The bytes of a character may turn out to be none up to the next token that is no byte.
    assertThat(pieces).anyMatch(piece -> piece.startsWith("🤖"));
    assertThat(pieces.getLast()).isEmpty();
  }
}
