package dev.jneox.tokenizer;

import com.fasterxml.jackson.core.JsonLocation;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import dev.jneox.io.InputException;
import dev.jneox.io.JsonObject;
import dev.jneox.io.Placeholder;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Holds the content of a {@code tokenizer.json} that every kind of tokenizer has.
 *
 * @param path named in errors
 * @param root the tree, without the vocabulary and the merge rules where they are given below
 * @param vocab the tokens of the model in their written form, with their ids
 * @param pieces the vocabulary of a Unigram model in the order of ids, with duplicates; null for
 *     others
 * @param merges the two sides of each merge rule, one rule after the other
 * @param added the added tokens
 */
record TokenizerFile(
    Path path,
    JsonNode root,
    Map<String, Integer> vocab,
    @Nullable List<ScoredPiece> pieces,
    List<String> merges,
    List<AddedToken> added) {
  /** The most characters of all added tokens together. */
  private static final int LONGEST_ADDED = 1 << 19;

  /** Ids are below: tables of all ids are made. The largest known vocabulary has 2^20. */
  static final int MOST_IDS = 1 << 24;

  /**
   * Is an entry of the vocabulary of a Unigram model: a piece with the logarithm of its
   * probability.
   */
  record ScoredPiece(String text, double score) {}

  /**
   * Reads and checks a file.
   *
   * @throws InputException when it is not a tokenizer
   */
  static TokenizerFile read(Path path) {
    return of(path, TokenizerJson.read(path));
  }

  /** Checks the text of a {@code tokenizer.json} that came with {@code path}, which errors name. */
  static TokenizerFile of(Path path, String json) {
    TokenizerReader reader = new TokenizerReader(path, json.length());
    JsonNode root;
    try {
      root = reader.read(json);
    } catch (JsonProcessingException e) {
      JsonLocation at = e.getLocation();
      String place =
          at == null ? "JSON" : "line " + at.getLineNr() + ", column " + at.getColumnNr();
      throw new InputException(
          path
              + ": "
              + place
              + ": expected a whole tokenizer.json, found: "
              + JsonObject.problem(e)
              + Placeholder.hint(json),
          e);
    } catch (IOException e) {
      throw new IllegalStateException(e); // reading a text in memory
    }
    JsonNode vocab = root.path("model").path("vocab");
    if (!vocab.isArray() && !vocab.isObject()) {
      throw InputException.in(
          path, "key model.vocab", "the tokens of a tokenizer.json", describe(vocab));
    }
    return new TokenizerFile(
        path,
        root,
        reader.vocab(),
        vocab.isArray() ? reader.pieces() : null,
        reader.merges(),
        added(path, root.path("added_tokens")));
  }

  private static List<AddedToken> added(Path path, JsonNode tokens) {
    List<AddedToken> added = new ArrayList<>();
    for (JsonNode token : tokens) {
      String place = "key added_tokens, entry " + added.size();
      String content = token.path("content").textValue();
      if (content == null) {
        throw InputException.in(
            path, place + ", content", "a string", describe(token.path("content")));
      }
      added.add(
          new AddedToken(
              id(path, place + ", id", token.path("id")),
              content,
              flag(path, place, token, "single_word"),
              flag(path, place, token, "lstrip"),
              flag(path, place, token, "rstrip"),
              flag(path, place, token, "normalized"),
              token.has("special") && flag(path, place, token, "special")));
    }
    long length = added.stream().mapToLong(token -> token.content().length()).sum();
    if (length > LONGEST_ADDED) {
      throw InputException.in(
          path,
          "key added_tokens",
          "at most " + LONGEST_ADDED + " characters in all",
          length + " characters");
    }
    return added;
  }

  static int id(Path path, String place, JsonNode id) {
    if (!id.isIntegralNumber()
        || !id.canConvertToInt()
        || id.intValue() < 0
        || id.intValue() >= MOST_IDS) {
      throw InputException.in(path, place, "a token id below " + MOST_IDS, describe(id));
    }
    return id.intValue();
  }

  private static boolean flag(Path path, String place, JsonNode token, String key) {
    if (!token.path(key).isBoolean()) {
      throw InputException.in(path, place + ", " + key, "true or false", describe(token.path(key)));
    }
    return token.path(key).booleanValue();
  }

  static String describe(JsonNode node) {
    String text = node.isMissingNode() ? "nothing" : node.toString();
    return text.length() <= 60 ? text : text.substring(0, 60) + "...";
  }

  /** Returns the text at a path of keys, or null where there is none. */
  String text(String... keys) {
    return node(keys).textValue();
  }

  /** Returns the node at a path of keys; a missing node where there is none. */
  JsonNode node(String... keys) {
    JsonNode node = root;
    for (String key : keys) {
      node = node.path(key);
    }
    return node;
  }

  /** Returns one more than the model's largest id. */
  int modelSize() {
    return pieces != null
        ? pieces.size()
        : 1 + vocab.values().stream().mapToInt(Integer::intValue).max().orElse(-1);
  }

  /** Returns one more than the largest id, added tokens included. */
  int vocabSize() {
    return Math.max(modelSize(), 1 + added.stream().mapToInt(AddedToken::id).max().orElse(-1));
  }
}
