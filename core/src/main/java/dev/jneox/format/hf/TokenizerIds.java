package dev.jneox.format.hf;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import dev.jneox.io.InputException;
import dev.jneox.io.JsonObject;
import dev.jneox.tokenizer.TokenizerJson;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Counts the ids of the {@code tokenizer.json} beside a model and finds single tokens, reading the
 * file as a stream.
 */
public final class TokenizerIds {
  /**
   * Has no table of known keys and no check for duplicates: each of fifty thousand keys occurs
   * once.
   */
  private static final JsonFactory JSON =
      JsonFactory.builder().disable(JsonFactory.Feature.CANONICALIZE_FIELD_NAMES).build();

  private final Path file;
  private final int wanted;
  private final @Nullable String wantedText;
  private int largest = -1;
  private @Nullable String found;
  private @Nullable Integer foundId;

  private TokenizerIds(Path file, JsonParser json, int wanted, @Nullable String wantedText)
      throws IOException {
    this.file = file;
    this.wanted = wanted;
    this.wantedText = wantedText;
    try (json) {
      read(json);
    }
    if (largest < 0) {
      throw InputException.in(file, "model.vocab", "tokens with their ids", "none");
    }
  }

  /** Returns one more than the largest id of the vocabulary and the added tokens. */
  public static int size(Path tokenizerJson) {
    return of(tokenizerJson, -1, null).largest + 1;
  }

  /** Returns the id of a token by its written form; empty where there is none. */
  public static Optional<Integer> id(Path tokenizerJson, String text) {
    return Optional.ofNullable(of(tokenizerJson, -1, text).foundId);
  }

  /** Returns the same for the text of a {@code tokenizer.json} that came from {@code source}. */
  public static int size(String tokenizerJson, Path source) {
    return of(tokenizerJson, source, -1, null).largest + 1;
  }

  /** Returns the written form of an id; empty where there is none. */
  static Optional<String> token(String tokenizerJson, Path source, int id) {
    return Optional.ofNullable(of(tokenizerJson, source, id, null).found);
  }

  private static TokenizerIds of(Path file, int wanted, @Nullable String wantedText) {
    return of(TokenizerJson.read(file), file, wanted, wantedText);
  }

  private static TokenizerIds of(
      String tokenizerJson, Path source, int wanted, @Nullable String wantedText) {
    try {
      return new TokenizerIds(source, JSON.createParser(tokenizerJson), wanted, wantedText);
    } catch (IOException e) {
      throw JsonObject.unreadable(source, "content", e);
    }
  }

  private void read(JsonParser json) throws IOException {
    expect(json.nextToken(), JsonToken.START_OBJECT, "content");
    while (json.nextToken() == JsonToken.FIELD_NAME) {
      String key = json.currentName();
      JsonToken value = json.nextToken();
      if (key.equals("added_tokens") && value == JsonToken.START_ARRAY) {
        addedTokens(json);
      } else if (key.equals("model") && value == JsonToken.START_OBJECT) {
        model(json);
      } else {
        json.skipChildren();
      }
    }
  }

  private void addedTokens(JsonParser json) throws IOException {
    while (json.nextToken() != JsonToken.END_ARRAY) {
      expect(json.currentToken(), JsonToken.START_OBJECT, "added_tokens");
      String content = null;
      int id = -1;
      while (json.nextToken() == JsonToken.FIELD_NAME) {
        String key = json.currentName();
        JsonToken value = json.nextToken();
        if (key.equals("id")) {
          id = id(json, "added_tokens");
        } else if (key.equals("content") && value == JsonToken.VALUE_STRING) {
          content = json.getText();
        } else {
          json.skipChildren();
        }
      }
      token(content, id);
    }
  }

  private void model(JsonParser json) throws IOException {
    while (json.nextToken() == JsonToken.FIELD_NAME) {
      String key = json.currentName();
      JsonToken value = json.nextToken();
      if (key.equals("vocab")) {
        if (value == JsonToken.START_ARRAY) {
          pieces(json);
          continue;
        }
        expect(value, JsonToken.START_OBJECT, "model.vocab");
        while (json.nextToken() == JsonToken.FIELD_NAME) {
          String content = json.currentName();
          json.nextToken();
          token(content, id(json, "model.vocab"));
        }
      } else {
        json.skipChildren();
      }
    }
  }

  /** Reads the vocabulary of Unigram: a piece and its score each, in the order of the ids. */
  private void pieces(JsonParser json) throws IOException {
    for (int id = 0; json.nextToken() != JsonToken.END_ARRAY; id++) {
      expect(json.currentToken(), JsonToken.START_ARRAY, "model.vocab[" + id + "]");
      String content = null;
      for (JsonToken value; (value = json.nextToken()) != JsonToken.END_ARRAY; ) {
        if (value == JsonToken.VALUE_STRING && content == null) {
          content = json.getText();
        } else {
          json.skipChildren();
        }
      }
      token(content, id);
    }
  }

  private void token(@Nullable String content, int id) {
    largest = Math.max(largest, id);
    if (id == wanted) {
      found = content;
    }
    if (content != null && content.equals(wantedText)) {
      foundId = id;
    }
  }

  private int id(JsonParser json, String place) throws IOException {
    boolean small =
        json.currentToken() == JsonToken.VALUE_NUMBER_INT
            && json.getNumberType() == JsonParser.NumberType.INT;
    if (!small || json.getIntValue() < 0 || json.getIntValue() == Integer.MAX_VALUE) {
      throw InputException.in(
          file, place, "an id from 0", JsonObject.shortened(String.valueOf(json.getText())));
    }
    return json.getIntValue();
  }

  private void expect(@Nullable JsonToken found, JsonToken expected, String place) {
    if (found != expected) {
      throw InputException.in(
          file,
          place,
          expected == JsonToken.START_OBJECT ? "an object" : "an array",
          String.valueOf(found));
    }
  }
}
