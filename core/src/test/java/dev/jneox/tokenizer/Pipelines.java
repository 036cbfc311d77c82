package dev.jneox.tokenizer;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Function;
import org.jspecify.annotations.NullUnmarked;

/** Small tokenizers put together from parts, as published ones are and at random. */
@NullUnmarked // a test fails by itself where a value is absent
final class Pipelines {
  private static final String SAMPLE =
      TokenizerFiles.resource("sample.txt")
          + " Über den Wolken, où l'été naît. Привет, мир! 你好，世界。 ";

  private static final String[] LETTERS = {
    "'s|'t|'re|'ve|'m|'ll|'d", "[^\\r\\n\\p{L}\\p{N}]?\\p{L}+", "\\s*[\\r\\n]+", "\\s+(?!\\S)|\\s+"
  };

  static final String LLAMA3 =
      "(?i:"
          + LETTERS[0]
          + ")|"
          + LETTERS[1]
          + "|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|"
          + LETTERS[2]
          + "|"
          + LETTERS[3];
  static final String QWEN2 = LLAMA3.replace("\\p{N}{1,3}", "\\p{N}");
  static final String GPT4 =
      "'(?i:[sdmt]|ll|ve|re)|[^\\r"
          + "\\n"
          + "\\p{L}\\p{N}]?+\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]++[\\r"
          + "\\n"
          + "]*|\\s*[\\r"
          + "\\n"
          + "]|"
          + LETTERS[3];
  static final String GPT4O =
      "[^\\r"
          + "\\n"
          + "\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+(?i:"
          + LETTERS[0]
          + ")?|[^\\r"
          + "\\n"
          + "\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*(?i:"
          + LETTERS[0]
          + ")?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|"
          + LETTERS[2]
          + "|"
          + LETTERS[3];
  static final String DEEPSEEK =
      "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n"
          + "\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n"
          + "]*|"
          + LETTERS[2]
          + "|"
          + LETTERS[3];
  static final String BLOOM = " ?[^(\\s|[.,!?…。，、।۔،])]+";
  static final String CLIP =
      "<\\|startoftext\\|>|<\\|endoftext\\|>|'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+";
  static final String STARCODER = "\\p{N}{1}|(?i:[a-z])+|\\n+";

  private static final String SPACE = "▁";

  private Pipelines() {}

  static JsonNode json(String text) {
    try {
      return TokenizerFiles.JSON.readTree(text.replace('\'', '"').replace('`', '\''));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  static ObjectNode file(
      JsonNode normalizer, JsonNode preTokenizer, JsonNode decoder, JsonNode model) {
    ObjectNode file = TokenizerFiles.JSON.createObjectNode();
    file.put("version", "1.0").putArray("added_tokens");
    file.set("normalizer", normalizer);
    file.set("pre_tokenizer", preTokenizer);
    file.putNull("post_processor");
    file.set("decoder", decoder);
    file.set("model", model);
    return file;
  }

  static JsonNode sequence(String key, JsonNode... parts) {
    ObjectNode sequence = TokenizerFiles.JSON.createObjectNode().put("type", "Sequence");
    sequence.putArray(key).addAll(List.of(parts));
    return sequence;
  }

  static JsonNode normalizers(String... parts) {
    return sequence("normalizers", parts(parts));
  }

  static JsonNode preTokenizers(String... parts) {
    return sequence("pretokenizers", parts(parts));
  }

  static JsonNode decoders(String... parts) {
    return sequence("decoders", parts(parts));
  }

  private static JsonNode[] parts(String... parts) {
    return Arrays.stream(parts).map(Pipelines::json).toArray(JsonNode[]::new);
  }

  static JsonNode split(String regex, String behavior, boolean invert) {
    ObjectNode split = TokenizerFiles.JSON.createObjectNode().put("type", "Split");
    split.putObject("pattern").put("Regex", regex);
    return split.put("behavior", behavior).put("invert", invert);
  }

  static final String BYTES =
      "{'type': 'ByteLevel', 'add_prefix_space': false, 'trim_offsets': true, 'use_regex': false}";
  static final String METASPACE =
      "{'type': 'Metaspace', 'replacement': '▁', 'prepend_scheme': '%s', 'split': %s}";

  static JsonNode metaspace(String scheme, boolean split) {
    return json(METASPACE.formatted(scheme, split));
  }

  // --- models

  /** Byte-pair encoding over characters, learned the plain way. */
  static ObjectNode bpe(String text, boolean words, int merges, boolean bytes) {
    Map<String, Integer> vocab = new LinkedHashMap<>();
    vocab.put("<unk>", 0);
    if (bytes) {
      for (int b = 0; b < 256; b++) {
        vocab.put(BpeModel.byteToken(b), vocab.size());
      }
    }
    List<List<String>> sequences = new ArrayList<>();
    for (String word : words ? text.split("(?=" + SPACE + ")") : new String[] {text}) {
      List<String> symbols = new ArrayList<>();
      word.codePoints().forEach(c -> symbols.add(Character.toString(c)));
      symbols.forEach(symbol -> vocab.putIfAbsent(symbol, vocab.size()));
      sequences.add(symbols);
    }
    ArrayNode rules = TokenizerFiles.JSON.createArrayNode();
    for (int i = 0; i < merges; i++) {
      Map<List<String>, Integer> counts = new HashMap<>();
      for (List<String> symbols : sequences) {
        for (int at = 0; at + 1 < symbols.size(); at++) {
          counts.merge(List.of(symbols.get(at), symbols.get(at + 1)), 1, Integer::sum);
        }
      }
      List<String> best =
          counts.entrySet().stream()
              .max(
                  Map.Entry.<List<String>, Integer>comparingByValue()
                      .thenComparing(entry -> String.join(" ", entry.getKey())))
              .orElseThrow()
              .getKey();
      String merged = String.join("", best);
      rules.addArray().add(best.get(0)).add(best.get(1));
      vocab.putIfAbsent(merged, vocab.size());
      for (List<String> symbols : sequences) {
        for (int at = 0; at + 1 < symbols.size(); at++) {
          if (symbols.get(at).equals(best.get(0)) && symbols.get(at + 1).equals(best.get(1))) {
            symbols.set(at, merged);
            symbols.remove(at + 1);
          }
        }
      }
    }
    ObjectNode model = TokenizerFiles.JSON.createObjectNode().put("type", "BPE");
    model.putNull("dropout").put("unk_token", "<unk>");
    model.putNull("continuing_subword_prefix").putNull("end_of_word_suffix");
    model.put("fuse_unk", true).put("byte_fallback", bytes).put("ignore_merges", false);
    model.set("vocab", TokenizerFiles.JSON.valueToTree(vocab));
    model.set("merges", rules);
    return model;
  }

  static final ObjectNode SPACED_BPE = bpe(SAMPLE.replace(" ", SPACE), true, 150, true);

  /** As BpeTrainer writes it. */
  static ObjectNode byteBpe() {
    ObjectNode model = TokenizerFiles.PLAIN.withObject("/model").deepCopy();
    return model.put("ignore_merges", true);
  }

  /** Pieces of the sample with scores, some of which are the same. */
  static ObjectNode unigram(Random random, boolean bytes, boolean spaced) {
    Set<String> pieces = new LinkedHashSet<>();
    pieces.add("<unk>");
    pieces.add(SPACE);
    if (bytes) {
      for (int b = 0; b < 256; b++) {
        pieces.add(BpeModel.byteToken(b));
      }
    }
    String text = spaced ? SAMPLE.replace(" ", SPACE) : SAMPLE;
    while (pieces.size() < 700) {
      int from = random.nextInt(text.length() - 8);
      int to = from + 1 + random.nextInt(7);
      if (!Character.isLowSurrogate(text.charAt(from))
          && !Character.isLowSurrogate(text.charAt(to))) {
        pieces.add(text.substring(from, to));
      }
    }
    ObjectNode model = TokenizerFiles.JSON.createObjectNode().put("type", "Unigram");
    model.put("unk_id", 0).put("byte_fallback", bytes);
    ArrayNode vocab = model.putArray("vocab");
    pieces.forEach(
        piece ->
            vocab.addArray().add(piece).add(-(double) random.nextInt(200) / 10 - piece.length()));
    return model;
  }

  static ObjectNode wordPiece(Random random) {
    Map<String, Integer> vocab = new LinkedHashMap<>();
    for (String token : List.of("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")) {
      vocab.put(token, vocab.size());
    }
    for (String word : SAMPLE.toLowerCase(Locale.ROOT).split("[^\\p{L}\\p{N}]+")) {
      for (int from = 0; from < word.length(); from++) {
        int to = from + 1 + random.nextInt(word.length() - from);
        vocab.putIfAbsent((from == 0 ? "" : "##") + word.substring(from, to), vocab.size());
        vocab.putIfAbsent((from == 0 ? "" : "##") + word.charAt(from), vocab.size());
      }
    }
    for (char c = '!'; c < 0x7F; c++) {
      vocab.putIfAbsent("" + c, vocab.size());
    }
    ObjectNode model = TokenizerFiles.JSON.createObjectNode().put("type", "WordPiece");
    model.put("unk_token", "[UNK]").put("continuing_subword_prefix", "##");
    model.put("max_input_chars_per_word", 20);
    model.set("vocab", TokenizerFiles.JSON.valueToTree(vocab));
    return model;
  }

  static ObjectNode words() {
    Map<String, Integer> vocab = new LinkedHashMap<>();
    vocab.put("<unk>", 0);
    for (String word : SAMPLE.split("(?<=\\s)|(?=\\s)|\\b")) {
      vocab.putIfAbsent(word, vocab.size());
      vocab.putIfAbsent(SPACE + word, vocab.size());
    }
    ObjectNode model = TokenizerFiles.JSON.createObjectNode().put("type", "WordLevel");
    model.put("unk_token", "<unk>").set("vocab", TokenizerFiles.JSON.valueToTree(vocab));
    return model;
  }

  // --- SentencePiece's table

  /** Replacements as SentencePiece's table of them for NFKC has: also some that are empty. */
  static JsonNode precompiled() {
    Map<String, String> map = new HashMap<>();
    map.put("\t", " ");
    map.put("\n", " ");
    map.put("\r", " ");
    map.put("\u00A0", " ");
    map.put("\u3000", " ");
    map.put("\u200B", "");
    map.put("\u200D", " ");
    map.put("\u0001", "");
    map.put("ﬁ", "fi");
    map.put("ǰ", "j\u030C");
    map.put("e\u0301", "é");
    map.put("a\u0323", "ạ");
    map.put("½", "1⁄2");
    map.put("①", "1");
    map.put("Ⅷ", "VIII");
    map.put("，", ",");
    map.put("。", "。");
    map.put("\u1100\u1161", "가");
    map.put("Å", "Å");
    map.put("𝐱", "x");
    map.put("\uFFFD", " ");
    ObjectNode node = TokenizerFiles.JSON.createObjectNode().put("type", "Precompiled");
    return node.put("precompiled_charsmap", charsmap(map));
  }

  /**
   * A table in base 64: the units of a double array (Darts-clone) and the texts. A unit has the
   * label of the edge to it in its low eight bits, bit 8 where its node ends a key, and the offset
   * of its children from bit 10 on; the child by label 0 has the value, marked by bit 31.
   */
  static String charsmap(Map<String, String> map) {
    ByteBuffer texts = ByteBuffer.allocate(1 << 16);
    TreeMap<String, Integer> values = new TreeMap<>();
    map.forEach(
        (key, text) -> {
          values.put(
              new String(key.getBytes(StandardCharsets.UTF_8), StandardCharsets.ISO_8859_1),
              texts.position());
          texts.put(text.getBytes(StandardCharsets.UTF_8)).put((byte) 0);
        });
    List<Integer> units = new ArrayList<>();
    List<Boolean> used = new ArrayList<>();
    grow(units, used, 256);
    used.set(0, true);
    place(units, used, 0, "", values);
    ByteBuffer table =
        ByteBuffer.allocate(4 + 4 * units.size() + texts.position()).order(ByteOrder.LITTLE_ENDIAN);
    table.putInt(4 * units.size());
    units.forEach(table::putInt);
    table.put(texts.flip());
    return Base64.getEncoder().encodeToString(table.array());
  }

  private static void grow(List<Integer> units, List<Boolean> used, int size) {
    while (units.size() < size) {
      units.add(0);
      used.add(false);
    }
  }

  private static void place(
      List<Integer> units,
      List<Boolean> used,
      int node,
      String prefix,
      TreeMap<String, Integer> values) {
    List<Integer> labels = new ArrayList<>();
    if (values.containsKey(prefix)) {
      labels.add(0);
    }
    for (int label = 1; label < 256; label++) {
      String next = prefix + (char) label;
      String key = values.ceilingKey(next);
      if (key != null && key.startsWith(next)) {
        labels.add(label);
      }
    }
    int offset = 0;
    int base;
    do {
      offset++;
      base = node ^ offset;
      grow(units, used, (base | 0xFF) + 257);
      int at = base;
      if (labels.stream().noneMatch(label -> used.get(at ^ label))) {
        break;
      }
    } while (true);
    units.set(node, units.get(node) | offset << 10 | (labels.contains(0) ? 1 << 8 : 0));
    for (int label : labels) {
      used.set(base ^ label, true);
      units.set(base ^ label, label == 0 ? 1 << 31 | values.get(prefix) : label);
    }
    for (int label : labels) {
      if (label != 0) {
        place(units, used, base ^ label, prefix + (char) label, values);
      }
    }
  }

  // --- published kinds

  /** The kinds of tokenizers that published models have, with small vocabularies. */
  static Map<String, ObjectNode> published() {
    Random random = new Random(7);
    Map<String, ObjectNode> all = new LinkedHashMap<>();
    JsonNode llamaDecoder =
        decoders(
            "{'type': 'Replace', 'pattern': {'String': '▁'}, 'content': ' '}",
            "{'type': 'ByteFallback'}",
            "{'type': 'Fuse'}",
            "{'type': 'Strip', 'content': ' ', 'start': 1, 'stop': 0}");
    JsonNode bytesDecoder = json(BYTES);
    JsonNode spaces = json("{'type': 'Replace', 'pattern': {'String': ' '}, 'content': '▁'}");
    all.put(
        "Llama 2",
        file(
            sequence("normalizers", json("{'type': 'Prepend', 'prepend': '▁'}"), spaces),
            null,
            llamaDecoder,
            SPACED_BPE));
    all.put("Mistral", file(null, metaspace("first", false), llamaDecoder, SPACED_BPE));
    all.put(
        "Gemma",
        file(
            spaces,
            json(
                "{'type': 'Split', 'pattern': {'String': ' '}, 'behavior': 'MergedWithPrevious',"
                    + " 'invert': false}"),
            decoders(
                "{'type': 'Replace', 'pattern': {'String': '▁'}, 'content': ' '}",
                "{'type': 'ByteFallback'}",
                "{'type': 'Fuse'}"),
            SPACED_BPE));
    Map<String, String> patterns = new LinkedHashMap<>();
    patterns.put("Llama 3", LLAMA3);
    patterns.put("Qwen 2", QWEN2);
    patterns.put("GPT-4", GPT4);
    patterns.put("DeepSeek", DEEPSEEK);
    patterns.put("StarCoder", STARCODER);
    patterns.forEach(
        (name, pattern) ->
            all.put(
                name,
                file(
                    name.startsWith("Qwen") ? json("{'type': 'NFC'}") : null,
                    sequence("pretokenizers", split(pattern, "Isolated", false), json(BYTES)),
                    bytesDecoder,
                    byteBpe())));
    all.put(
        "GPT-4o",
        file(
            null,
            sequence("pretokenizers", split(GPT4O, "Removed", true), json(BYTES)),
            bytesDecoder,
            byteBpe()));
    all.put(
        "BLOOM",
        file(
            null,
            sequence("pretokenizers", split(BLOOM, "Isolated", false), json(BYTES)),
            bytesDecoder,
            byteBpe()));
    all.put(
        "Falcon",
        file(
            null,
            preTokenizers(
                "{'type': 'Punctuation', 'behavior': 'Contiguous'}",
                BYTES.replace("'use_regex': false", "'use_regex': true"),
                "{'type': 'Digits', 'individual_digits': false}",
                "{'type': 'Split', 'pattern': {'Regex': '[0-9][0-9][0-9]'}, 'behavior': 'Isolated',"
                    + " 'invert': false}"),
            bytesDecoder,
            byteBpe()));
    ObjectNode endings = bpe(SAMPLE.toLowerCase(Locale.ROOT), false, 60, false);
    endings
        .put("end_of_word_suffix", "</w>")
        .put("unk_token", "<|endoftext|>")
        .put("fuse_unk", false);
    ObjectNode endingsVocab = endings.withObject("/vocab");
    endingsVocab.put("<|endoftext|>", endingsVocab.size());
    for (char c = '!'; c < 0x7F; c++) {
      endingsVocab.put(c + "</w>", endingsVocab.size());
    }
    all.put(
        "CLIP",
        file(
            normalizers(
                "{'type': 'NFC'}",
                "{'type': 'Replace', 'pattern': {'Regex': '\\\\s+'}, 'content': ' '}",
                "{'type': 'Lowercase'}"),
            split(CLIP, "Removed", true),
            json("{'type': 'BPEDecoder', 'suffix': '</w>'}"),
            endings));
    for (String cased : List.of("true", "false")) {
      all.put(
          "BERT " + cased,
          file(
              json(
                  "{'type': 'BertNormalizer', 'clean_text': true, 'handle_chinese_chars': true,"
                      + " 'strip_accents': null, 'lowercase': "
                      + cased
                      + "}"),
              json("{'type': 'BertPreTokenizer'}"),
              json("{'type': 'WordPiece', 'prefix': '##', 'cleanup': " + cased + "}"),
              wordPiece(random)));
    }
    JsonNode metaspaceDecoder = metaspace("always", true);
    all.put(
        "T5",
        file(
            precompiled(),
            sequence("pretokenizers", json("{'type': 'WhitespaceSplit'}"), metaspaceDecoder),
            metaspaceDecoder,
            unigram(random, false, true)));
    all.put(
        "XLM-R",
        file(precompiled(), metaspaceDecoder, metaspaceDecoder, unigram(random, false, true)));
    all.put(
        "T5 with bytes",
        file(
            sequence(
                "normalizers",
                precompiled(),
                json("{'type': 'Strip', 'strip_left': false, 'strip_right': true}"),
                json("{'type': 'Replace', 'pattern': {'Regex': ' {2,}'}, 'content': '▁'}")),
            metaspace("first", true),
            metaspaceDecoder,
            unigram(random, true, true)));
    all.put(
        "ALBERT",
        file(
            sequence(
                "normalizers",
                json("{'type': 'Replace', 'pattern': {'String': '``'}, 'content': '\\\"'}"),
                json("{'type': 'NFKD'}"),
                json("{'type': 'StripAccents'}"),
                json("{'type': 'Lowercase'}"),
                precompiled()),
            sequence("pretokenizers", json("{'type': 'WhitespaceSplit'}"), metaspaceDecoder),
            metaspaceDecoder,
            unigram(random, false, true)));
    all.put(
        "words",
        file(
            normalizers("{'type': 'Nmt'}", "{'type': 'NFKC'}"),
            json("{'type': 'Whitespace'}"),
            null,
            words()));
    all.values().forEach(file -> add(file, random));
    return all;
  }

  private static void add(ObjectNode file, Random random) {
    TokenizerFiles.add(file, "<s>", false, false, false, false);
    TokenizerFiles.add(file, "</s>", false, false, true, false);
    TokenizerFiles.add(file, "<|endoftext|>", false, false, false, false);
    TokenizerFiles.add(file, "<mask>", false, true, false, random.nextBoolean());
    TokenizerFiles.add(file, "the", true, false, false, true);
  }

  // --- random kinds

  /** A tokenizer of random parts that the library does not fall over. */
  static ObjectNode random(Random random) {
    ObjectNode model =
        switch (random.nextInt(8)) {
          case 0, 1 -> SPACED_BPE.deepCopy();
          case 2 -> byteBpe();
          case 3 -> words();
          case 4 -> wordPiece(random);
          default -> unigram(random, random.nextBoolean(), random.nextBoolean());
        };
    if (model.path("type").asText().equals("BPE")) {
      model.put("fuse_unk", random.nextBoolean()).put("ignore_merges", random.nextBoolean());
      model.put("byte_fallback", random.nextBoolean());
      if (random.nextInt(4) == 0) {
        // The bytes that have no token make their characters unknown.
        model.withObject("/vocab").remove(List.of("<0xE4>", "<0xC3>"));
      }
      if (random.nextInt(4) == 0) {
        model.putNull("unk_token");
      }
      if (random.nextInt(4) == 0) {
        model.put("end_of_word_suffix", "e");
      }
    }
    JsonNode[] normalizers = some(random, 3, Pipelines::normalizer);
    JsonNode[] splits = some(random, 3, Pipelines::preTokenizer);
    JsonNode[] decoders = some(random, 4, Pipelines::decoder);
    ObjectNode file =
        file(
            normalizers.length == 0 ? null : sequence("normalizers", normalizers),
            splits.length == 0 ? null : sequence("pretokenizers", splits),
            decoders.length == 0 ? null : sequence("decoders", decoders),
            model);
    if (model.path("unk_token").isTextual()
        && model.at("/vocab/" + model.path("unk_token").asText()).isMissingNode()) {
      model.putNull("unk_token");
      if (!model.path("type").asText().equals("BPE")) {
        throw new IllegalStateException();
      }
    }
    String[] contents = {
      "<s>",
      "</s>",
      "<|endoftext|>",
      "the",
      "then",
      "é",
      "e\u0301",
      "ﬁ",
      "\n",
      "世",
      "▁",
      "##",
      "<m> <m>",
      "İ",
      "a",
      "x1",
      "''s"
    };
    for (int i = random.nextInt(6); i > 0; i--) {
      TokenizerFiles.add(
          file,
          contents[random.nextInt(contents.length)],
          random.nextInt(3) == 0,
          random.nextInt(3) == 0,
          random.nextInt(3) == 0,
          random.nextBoolean());
      int last = file.withArray("added_tokens").size() - 1;
      ((ObjectNode) file.withArray("added_tokens").get(last)).put("special", random.nextBoolean());
    }
    return file;
  }

  private static JsonNode[] some(Random random, int most, Function<Random, JsonNode> part) {
    JsonNode[] parts = new JsonNode[random.nextInt(most + 1)];
    for (int i = 0; i < parts.length; i++) {
      parts[i] = part.apply(random);
    }
    return parts;
  }

  private static JsonNode normalizer(Random random) {
    String f = String.valueOf(random.nextBoolean());
    String g = String.valueOf(random.nextBoolean());
    return switch (random.nextInt(14)) {
      case 0 -> json("{'type': 'NFC'}");
      case 1 -> json("{'type': 'NFD'}");
      case 2 -> json("{'type': 'NFKC'}");
      case 3 -> json("{'type': 'NFKD'}");
      case 4 -> json("{'type': 'Lowercase'}");
      case 5 -> json("{'type': 'Nmt'}");
      case 6 -> json("{'type': 'Prepend', 'prepend': '▁'}");
      case 7 -> json("{'type': 'Replace', 'pattern': {'String': ' '}, 'content': '▁'}");
      case 8 ->
          json("{'type': 'Replace', 'pattern': {'Regex': '\\\\s{2,}|e|(?<=o)'}, 'content': 'ab'}");
      case 9 ->
          json(
              "{'type': 'Replace', 'pattern': {'Regex': '(?<=[a-m])[n-z]+|\\\\p{Lu}'}, 'content':"
                  + " ''}");
      case 10 ->
          json(
              "{'type': 'Bert', 'clean_text': "
                  + f
                  + ", 'handle_chinese_chars': true,"
                  + " 'strip_accents': "
                  + g
                  + ", 'lowercase': "
                  + f
                  + "}");
      case 11 -> json("{'type': 'ByteLevel'}");
      case 12 -> json("{'type': 'StripAccents'}");
      default -> precompiled();
    };
  }

  private static final String[] BEHAVIORS = {
    "Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"
  };

  private static final String[] PATTERNS = {
    LLAMA3,
    GPT4,
    GPT4O,
    DEEPSEEK,
    BLOOM,
    CLIP,
    STARCODER,
    "\\s+",
    "e|",
    "(ab|a)*?b",
    "\\b",
    "(?<!a)[b-f&&[^d]]",
    "^.|.$",
    "(?m:a.)|\\R",
    "[[:punct:]]|[[:alpha:]]{2,3}?",
    "\\w+|\\W",
    "(?>a+)b|a",
    "\\d{2}?x|\\h",
    "(?=[A-Z])|(?<=ing)",
    "(?:a|ab)(?:c|bcd)?\\z|\\A\\s",
    "[^a-z\\s]{1,2}+",
    "(x+x+)+y|(?i:ΣΑ|[k-s])"
  };

  private static JsonNode preTokenizer(Random random) {
    String behavior = BEHAVIORS[random.nextInt(BEHAVIORS.length)];
    return switch (random.nextInt(14)) {
      case 0 -> json("{'type': 'BertPreTokenizer'}");
      case 1 -> json(BYTES);
      case 2 -> json("{'type': 'ByteLevel', 'add_prefix_space': true, 'trim_offsets': true}");
      case 3 -> json("{'type': 'CharDelimiterSplit', 'delimiter': 'e'}");
      case 4 -> json("{'type': 'Digits', 'individual_digits': " + random.nextBoolean() + "}");
      case 5 -> json("{'type': 'FixedLength', 'length': " + (1 + random.nextInt(5)) + "}");
      case 6 -> metaspace("always", random.nextBoolean());
      case 7, 8 -> metaspace("first", random.nextBoolean());
      case 9 -> metaspace("never", random.nextBoolean());
      case 10 -> json("{'type': 'Punctuation', 'behavior': '" + behavior + "'}");
      case 11 -> json("{'type': 'Whitespace'}");
      case 12 -> json("{'type': 'WhitespaceSplit'}");
      default -> split(PATTERNS[random.nextInt(PATTERNS.length)], behavior, random.nextBoolean());
    };
  }

  private static JsonNode decoder(Random random) {
    return switch (random.nextInt(10)) {
      case 0 -> json("{'type': 'BPEDecoder', 'suffix': 'e'}");
      case 1 -> json(BYTES);
      case 2 -> json("{'type': 'ByteFallback'}");
      case 3 -> json("{'type': 'Fuse'}");
      case 4 -> metaspace(random.nextBoolean() ? "always" : "never", true);
      case 5 ->
          json("{'type': 'WordPiece', 'prefix': '##', 'cleanup': " + random.nextBoolean() + "}");
      case 6 -> json("{'type': 'Strip', 'content': ' ', 'start': 2, 'stop': 0}");
      case 7 -> json("{'type': 'Replace', 'pattern': {'String': '▁'}, 'content': ' '}");
      case 8 ->
          json("{'type': 'Replace', 'pattern': {'Regex': '[aeiou]+|\\\\s$'}, 'content': '-'}");
      default ->
          json(
              "{'type': 'CTC', 'pad_token': 'a', 'word_delimiter_token': '▁', 'cleanup': "
                  + random.nextBoolean()
                  + "}");
    };
  }

  /** A text of random parts, most of them hard. */
  static String text(Random random) {
    StringBuilder text = new StringBuilder();
    for (int i = random.nextInt(12); i > 0; i--) {
      switch (random.nextInt(8)) {
        case 0 -> text.appendCodePoint(random.nextInt(0x3000));
        case 1 -> text.appendCodePoint(random.nextInt(0x20000));
        case 2 -> {
          int from = random.nextInt(SAMPLE.length() - 30);
          text.append(SAMPLE, from, from + random.nextInt(30));
        }
        default -> text.append(BITS[random.nextInt(BITS.length)]);
      }
    }
    return text.toString();
  }

  private static final String[] BITS = {
    "the",
    " the",
    "then",
    "Hello world",
    "'s",
    "'S",
    "'ſ",
    " 're",
    "1234567",
    "½²٣",
    "é",
    "e\u0301",
    "ﬁ",
    "世界",
    "你好，世界。",
    "ハロー",
    "한국어",
    "हिन्दी",
    "שלום",
    "👩‍👩‍👧‍👦",
    "🏳️‍🌈",
    "🤖",
    "\n",
    "\r\n",
    "\n\n",
    "\t",
    " ",
    "  ",
    "   ",
    "\u00A0",
    "\u3000",
    "\u2028",
    "\u0085",
    "\u0000",
    "\u0001",
    "\u200B",
    "\u200D",
    "\uFEFF",
    "\uFFFD",
    "<s>",
    "</s>",
    "<unk>",
    "<|endoftext|>",
    "<mask>",
    " <mask> ",
    "▁",
    "_",
    "!?",
    "...",
    "(a)",
    "{x}",
    "A1b2",
    "ABCdef",
    "$5.00",
    "ß",
    "ẞ",
    "İ",
    "ı",
    "\u0345",
    "a\u0323\u0301",
    "\uD83D",
    "\uDE42",
    "http://x.y",
    "Ωσς",
    "Дя",
    "ไทย",
    "ཀ",
    "𝐱",
    "𐗉",
    "\u07FD",
    "ǰ",
    "<0x0A>",
    "<0xE4>",
    "\u1100\u1161\u11A8",
    "[UNK]",
    "##s",
    "Å①Ⅷ",
    "``",
    "ab",
    "xxxy",
    "<m> <m>",
    "''s",
    "\u19CB\u200D\u0345",
    "king",
    "x1"
  };
}
