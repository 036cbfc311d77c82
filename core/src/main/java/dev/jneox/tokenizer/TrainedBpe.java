package dev.jneox.tokenizer;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.util.DefaultIndenter;
import com.fasterxml.jackson.core.util.DefaultPrettyPrinter;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.jneox.io.AtomicFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.SequencedMap;

/**
 * Holds a byte-level byte-pair encoding that {@link BpeTrainer} has learned.
 *
 * @param vocab the tokens in their written form with their ids, in the order of ids
 * @param merges the rules in the order of rank, each as "left right"
 * @param documents texts it was trained on
 * @param bytes of these texts in UTF-8
 * @param words distinct words of these texts
 * @param tokens of these texts with this vocabulary; bytes / tokens is the mean length of a token
 */
public record TrainedBpe(
    SequencedMap<String, Integer> vocab,
    List<String> merges,
    long documents,
    long bytes,
    long words,
    long tokens) {
  private static final JsonMapper JSON = JsonMapper.builder().build();

  /** Writes the {@code tokenizer.json}, whole or not at all. */
  public void write(Path tokenizerJson) {
    AtomicFile.write(tokenizerJson, json().getBytes(StandardCharsets.UTF_8));
  }

  /**
   * Formats the {@code tokenizer.json}. It has no normalizer, so that every text decodes to its own
   * bytes.
   */
  String json() {
    ObjectNode root = JSON.createObjectNode();
    root.put("version", "1.0").putNull("truncation").putNull("padding");
    for (String token : List.of(BpeTrainer.END_OF_TEXT, BpeTrainer.PADDING)) {
      root.withArray("added_tokens")
          .addObject()
          .put("id", vocab.get(token))
          .put("content", token)
          .put("single_word", false)
          .put("lstrip", false)
          .put("rstrip", false)
          .put("normalized", false)
          .put("special", true);
    }
    root.putNull("normalizer");
    for (String part : List.of("pre_tokenizer", "post_processor", "decoder")) {
      root.putObject(part)
          .put("type", "ByteLevel")
          .put("add_prefix_space", false)
          .put("trim_offsets", true)
          .put("use_regex", true);
    }
    ObjectNode model = root.putObject("model").put("type", "BPE");
    model
        .putNull("dropout")
        .putNull("unk_token")
        .putNull("continuing_subword_prefix")
        .putNull("end_of_word_suffix");
    model.put("fuse_unk", false).put("byte_fallback", false).put("ignore_merges", false);
    model.set("vocab", JSON.valueToTree(vocab));
    model.set("merges", JSON.valueToTree(merges));
    DefaultPrettyPrinter lines = new DefaultPrettyPrinter();
    lines.indentArraysWith(DefaultIndenter.SYSTEM_LINEFEED_INSTANCE.withLinefeed("\n"));
    lines.indentObjectsWith(DefaultIndenter.SYSTEM_LINEFEED_INSTANCE.withLinefeed("\n"));
    try {
      return JSON.writer(lines).writeValueAsString(root);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
  }
}
