package dev.jneox.tokenizer;

import dev.jneox.io.InputException;
import dev.jneox.io.JsonObject;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Encodes a word: the key {@code model} of a tokenizer.json. Immutable. */
sealed interface WordModel permits WordModel.Words, BpeModel, UnigramModel, WordPieceModel {
  /** Appends the ids of a word, which is not empty. */
  void encode(String word, IdList ids, Work work);

  /**
   * Returns the number of tokens as the library counts it, which is the next free id if all below
   * it are used.
   */
  int size();

  /** Returns the written form of an id; null where there is none. */
  @Nullable String token(int id);

  /** Returns the id of a written form; null where there is none. */
  @Nullable Integer id(String token);

  /** Is a vocabulary that is an object of the file: each token has an id of its own. */
  final class Vocabulary {
    /** The largest id may be this many times the number of tokens. */
    private static final int GAPS = 16;

    private final Map<String, Integer> ids;
    private final String[] tokens;

    Vocabulary(TokenizerFile file) {
      ids = file.vocab();
      if (file.modelSize() > (long) GAPS * ids.size() + (1 << 16)) {
        throw InputException.in(
            file.path(),
            "key model.vocab",
            "ids without large gaps for " + ids.size() + " tokens",
            "an id of " + (file.modelSize() - 1));
      }
      tokens = new String[file.modelSize()];
      ids.forEach(
          (token, id) -> {
            String place = "key model.vocab, token " + JsonObject.shortened(token);
            if (!Utf8.wellFormed(token).equals(token)) {
              throw InputException.in(
                  file.path(), place, "whole characters", "half of a surrogate pair");
            }
            if (tokens[id] != null) {
              throw InputException.in(
                  file.path(),
                  place,
                  "an id of its own",
                  id + ", the id of " + JsonObject.shortened(tokens[id]));
            }
            tokens[id] = token;
          });
    }

    int size() {
      return ids.size();
    }

    @Nullable Integer id(String token) {
      return ids.get(token);
    }

    @Nullable String token(int id) {
      return id >= 0 && id < tokens.length ? tokens[id] : null;
    }
  }

  /** Knows whole words only. */
  record Words(JsonKey key, Vocabulary vocabulary, @Nullable Integer unknown) implements WordModel {
    @Override
    public void encode(String word, IdList ids, Work work) {
      Integer known = id(word);
      Integer id = known != null ? known : unknown;
      if (id == null) {
        throw noUnknown(key);
      }
      ids.add(id);
    }

    @Override
    public int size() {
      return vocabulary.size();
    }

    @Override
    public @Nullable String token(int id) {
      return vocabulary.token(id);
    }

    @Override
    public @Nullable Integer id(String token) {
      return vocabulary.id(token);
    }
  }

  /** Creates the error for a word that the vocabulary cannot write. */
  static InputException noUnknown(JsonKey key) {
    return key.expected(
        "a token of the vocabulary for what it has no token for, as a text needs one");
  }

  /**
   * Reads the model of a file. In files of old versions without a type, the keys decide.
   *
   * @param key the model
   */
  static WordModel read(TokenizerFile file, JsonKey key) {
    String type = key.at("type").isAbsent() ? guess(key) : key.type();
    boolean array = file.pieces() != null;
    if (array != type.equals("Unigram")
        && List.of("BPE", "Unigram", "WordLevel", "WordPiece").contains(type)) {
      throw key.at("vocab")
          .expected(
              array ? "an object, as the type is " + type : "an array, as the type is Unigram",
              array ? "an array" : "an object");
    }
    return switch (type) {
      case "BPE" -> BpeModel.read(file, key);
      case "Unigram" -> UnigramModel.read(file, key);
      case "WordPiece" -> WordPieceModel.read(file, key);
      case "WordLevel" -> {
        Vocabulary vocabulary = new Vocabulary(file);
        JsonKey unknown = key.at("unk_token");
        yield new Words(unknown, vocabulary, vocabulary.id(unknown.string()));
      }
      default -> throw key.at("type").expected("BPE, Unigram, WordLevel or WordPiece");
    };
  }

  private static String guess(JsonKey key) {
    if (key.at("vocab").node().isArray()) {
      return "Unigram";
    }
    if (key.at("merges").node().isArray()) {
      return "BPE";
    }
    return key.at("max_input_chars_per_word").isAbsent() ? "WordLevel" : "WordPiece";
  }
}
