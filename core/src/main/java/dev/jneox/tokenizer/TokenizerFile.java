package dev.jneox.tokenizer;

import com.fasterxml.jackson.core.JsonLocation;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import dev.jneox.io.AtomicFile;
import dev.jneox.io.InputException;
import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * A {@code tokenizer.json} as read from disk: its text, and what every kind of tokenizer has in it.
 *
 * @param root the tree, without the vocabulary and the merge rules where they are given below
 * @param vocab the model's tokens in their written form, with their ids
 * @param merges the two sides of each merge rule, one rule after the other; null where one of them
 *     is no pair
 */
record TokenizerFile(
    Path path,
    String json,
    JsonNode root,
    Map<String, Integer> vocab,
    List<String> merges,
    List<AddedToken> added) {
  /** Reads and checks the file; anything that is not a tokenizer is an {@link InputException}. */
  static TokenizerFile read(Path path) {
    return of(path, text(path));
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
      String problem = e.getOriginalMessage().lines().findFirst().orElse("no JSON");
      throw new InputException(
          path + ": " + place + ": expected a whole tokenizer.json, found: " + problem, e);
    } catch (IOException e) {
      throw new IllegalStateException(e); // reading a text in memory
    }
    JsonNode vocab = root.path("model").path("vocab");
    if (vocab.isArray()) {
      return new TokenizerFile(
          path, json, root, pieces(vocab), reader.merges(), added(path, root.path("added_tokens")));
    }
    if (!vocab.isObject()) {
      throw InputException.in(
          path, "key model.vocab", "the tokens of a tokenizer.json", describe(vocab));
    }
    return new TokenizerFile(
        path, json, root, reader.vocab(), reader.merges(), added(path, root.path("added_tokens")));
  }

  private static String text(Path path) {
    try {
      return Files.readString(path);
    } catch (NoSuchFileException e) {
      throw new InputException(path + ": expected a tokenizer.json, found no such file", e);
    } catch (CharacterCodingException e) {
      throw new InputException(path + ": expected a tokenizer.json in UTF-8, found other bytes", e);
    } catch (IOException e) {
      throw new InputException(path + ": cannot be read: " + AtomicFile.reason(e), e);
    }
  }

  /**
   * Unigram writes [token, score] pairs in the order of the ids; the others a map from token to id.
   */
  private static Map<String, Integer> pieces(JsonNode vocab) {
    Map<String, Integer> ids = HashMap.newHashMap(vocab.size());
    for (JsonNode piece : vocab) {
      ids.put(piece.path(0).asText(), ids.size());
    }
    return ids;
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
              flag(path, place, token, "normalized")));
    }
    return added;
  }

  static int id(Path path, String place, JsonNode id) {
    if (!id.isIntegralNumber()
        || !id.canConvertToInt()
        || id.intValue() < 0
        || id.intValue() == Integer.MAX_VALUE) {
      throw InputException.in(path, place, "a token id", describe(id));
    }
    return id.intValue();
  }

  private static boolean flag(Path path, String place, JsonNode token, String key) {
    if (!token.path(key).isBoolean()) {
      throw InputException.in(path, place + ", " + key, "true or false", describe(token.path(key)));
    }
    return token.path(key).booleanValue();
  }

  private static String describe(JsonNode node) {
    String text = node.isMissingNode() ? "nothing" : node.toString();
    return text.length() <= 60 ? text : text.substring(0, 60) + "...";
  }

  /** The text at a path of keys, or null where there is none. */
  String text(String... keys) {
    return node(keys).textValue();
  }

  /** The node at a path of keys; a missing node where there is none. */
  JsonNode node(String... keys) {
    JsonNode node = root;
    for (String key : keys) {
      node = node.path(key);
    }
    return node;
  }

  /** The ids of every token, added ones included. */
  Map<String, Integer> ids() {
    Map<String, Integer> ids = new HashMap<>(vocab);
    added.forEach(token -> ids.putIfAbsent(token.content(), token.id()));
    return ids;
  }

  /** One more than the largest id. */
  int vocabSize() {
    int largest = vocab.values().stream().mapToInt(Integer::intValue).max().orElse(-1);
    return 1 + Math.max(largest, added.stream().mapToInt(AddedToken::id).max().orElse(-1));
  }
}
