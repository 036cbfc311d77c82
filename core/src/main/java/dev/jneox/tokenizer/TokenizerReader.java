package dev.jneox.tokenizer;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParseException;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.MissingNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.jneox.io.InputException;
import dev.jneox.io.JsonObject;
import dev.jneox.tokenizer.TokenizerFile.ScoredPiece;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Parses a {@code tokenizer.json}. It reads the vocabulary and the merge rules, which are almost
 * all of its hundred thousand lines, as a stream; that takes two fifths less time in a fresh JVM
 * than a tree. The rest is a tree.
 */
final class TokenizerReader {
  // The keys of a vocabulary are met once each: a table of known keys would only cost time.
  private static final JsonMapper JSON =
      JsonMapper.builder(
              JsonFactory.builder().disable(JsonFactory.Feature.CANONICALIZE_FIELD_NAMES).build())
          .build();

  /** The approximate characters of a token and its merge rule, to reserve space. */
  private static final int CHARACTERS = 48;

  private final Path path;
  private final Map<String, Integer> vocab;
  private final List<ScoredPiece> pieces = new ArrayList<>();
  private final List<String> merges;

  /**
   * Starts without content.
   *
   * @param path named in errors
   * @param length of the text to come
   */
  TokenizerReader(Path path, int length) {
    this.path = path;
    this.vocab = HashMap.newHashMap(length / CHARACTERS);
    this.merges = new ArrayList<>(length / CHARACTERS * 2);
  }

  /** Returns the tree, in which the vocabulary object and the array of merge rules are empty. */
  JsonNode read(String text) throws IOException {
    try (JsonParser json = JSON.createParser(text)) {
      JsonNode root = json.nextToken() == null ? MissingNode.getInstance() : value(json, "");
      if (json.nextToken() != null) {
        throw new JsonParseException(json, "more text behind its end");
      }
      return root;
    }
  }

  /** Returns the tokens of the vocabulary with their ids; of duplicates the last one. */
  Map<String, Integer> vocab() {
    return vocab;
  }

  /** Returns the entries of a vocabulary that is an array. */
  List<ScoredPiece> pieces() {
    return pieces;
  }

  /** Returns the two sides of each merge rule, one rule after the other. */
  List<String> merges() {
    return merges;
  }

  /** Reads the value of {@code key}: the keys from the root on, each with a full stop before it. */
  private JsonNode value(JsonParser json, String key) throws IOException {
    JsonToken token = json.currentToken();
    if (token == JsonToken.START_OBJECT && (key.isEmpty() || key.equals(".model"))) {
      ObjectNode object = JSON.createObjectNode();
      while (json.nextToken() == JsonToken.FIELD_NAME) {
        String name = json.currentName();
        json.nextToken();
        object.set(name, value(json, key + "." + name));
      }
      return object;
    }
    if (token == JsonToken.START_OBJECT && key.equals(".model.vocab")) {
      vocab(json);
      return JSON.createObjectNode();
    }
    if (token == JsonToken.START_ARRAY && key.equals(".model.vocab")) {
      pieces(json);
      return JSON.createArrayNode();
    }
    if (token == JsonToken.START_ARRAY && key.equals(".model.merges")) {
      merges(json);
      return JSON.createArrayNode();
    }
    return JSON.readTree(json);
  }

  private void vocab(JsonParser json) throws IOException {
    vocab.clear(); // of a key that is there twice the last one counts
    while (json.nextToken() == JsonToken.FIELD_NAME) {
      String token = json.currentName();
      boolean small =
          json.nextToken() == JsonToken.VALUE_NUMBER_INT
              && json.getNumberType() == JsonParser.NumberType.INT;
      int id = small ? json.getIntValue() : -1;
      if (id < 0 || id >= TokenizerFile.MOST_IDS) {
        // This throws the error.
        id =
            TokenizerFile.id(
                path, "key model.vocab, token " + JsonObject.shortened(token), JSON.readTree(json));
      }
      vocab.put(token, id);
    }
  }

  /** Unigram writes ["token", score] pairs in the order of the ids. */
  private void pieces(JsonParser json) throws IOException {
    vocab.clear();
    pieces.clear();
    while (json.nextToken() != JsonToken.END_ARRAY) {
      JsonNode piece = JSON.readTree(json);
      double score = piece.path(1).asDouble();
      if (piece.size() != 2
          || !piece.get(0).isTextual()
          || !piece.get(1).isNumber()
          || !Double.isFinite(score)) {
        throw InputException.in(
            path,
            "key model.vocab, entry " + pieces.size(),
            "[token, score]",
            TokenizerFile.describe(piece));
      }
      vocab.put(piece.get(0).textValue(), pieces.size());
      pieces.add(new ScoredPiece(piece.get(0).textValue(), score));
    }
  }

  /** A rule is written as "a b" or as ["a", "b"], all of a file in one way. */
  private void merges(JsonParser json) throws IOException {
    merges.clear();
    JsonToken way = null;
    for (int entry = 0; json.nextToken() != JsonToken.END_ARRAY; entry++) {
      JsonToken token = json.currentToken();
      way = way == null ? token : way;
      if (token == JsonToken.VALUE_STRING && token == way) {
        String rule = json.getText();
        if (rule.startsWith("#version")) {
          continue; // the first line of a merges.txt
        }
        int space = rule.indexOf(' ');
        if (space >= 0 && rule.indexOf(' ', space + 1) < 0) {
          merges.add(rule.substring(0, space));
          merges.add(rule.substring(space + 1));
          continue;
        }
      }
      JsonNode rule = JSON.readTree(json);
      if (token != way
          || rule.size() != 2
          || !rule.get(0).isTextual()
          || !rule.get(1).isTextual()) {
        throw InputException.in(
            path,
            "key model.merges, entry " + entry,
            "\"left right\" or [\"left\", \"right\"], all in one way",
            TokenizerFile.describe(rule));
      }
      merges.add(rule.get(0).textValue());
      merges.add(rule.get(1).textValue());
    }
  }
}
