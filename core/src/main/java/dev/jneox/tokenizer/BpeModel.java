package dev.jneox.tokenizer;

import dev.jneox.io.InputException;
import dev.jneox.io.JsonObject;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Implements byte-pair encoding over characters (Sennrich et al. 2016, arXiv:1508.07909) with all
 * options of the files: marks for parts within and at the end of a word, bytes for characters
 * without a token, one unknown token for several characters, whole words first.
 */
final class BpeModel implements WordModel {
  private final WordModel.Vocabulary vocabulary;
  private final Merges merges;
  private final JsonKey unknownKey;

  /** Null where characters without a token are dropped. */
  private final @Nullable String unknownToken;

  private final boolean fuseUnknown;
  private final boolean wholeWords;
  private final String prefix;
  private final String suffix;

  /** The ids of the bytes 0 to 255, -1 for a byte without one; null where bytes are not used. */
  private final int @Nullable [] byteIds;

  /** The ids of the 16-bit characters, -1 for a character without one. */
  private final int[] characterIds = new int[1 << 16];

  private BpeModel(TokenizerFile file, JsonKey key) {
    vocabulary = new WordModel.Vocabulary(file);
    unknownKey = key.at("unk_token");
    unknownToken = unknownKey.isAbsent() ? null : unknownKey.string();
    fuseUnknown = key.at("fuse_unk").flag(false);
    wholeWords = key.at("ignore_merges").flag(false);
    prefix = text(key.at("continuing_subword_prefix"));
    suffix = text(key.at("end_of_word_suffix"));
    JsonKey dropout = key.at("dropout");
    if (!dropout.isAbsent() && dropout.node().asDouble(1) != 0) {
      throw dropout.expected("null or 0, as ids must not depend on chance");
    }
    merges = merges(file, key.at("merges"));
    byteIds = key.at("byte_fallback").flag(false) ? byteIds() : null;
    Arrays.fill(characterIds, -1);
    for (int c = 0; c < characterIds.length; c++) {
      Integer id = vocabulary.id(String.valueOf((char) c));
      characterIds[c] = id == null ? -1 : id;
    }
  }

  static BpeModel read(TokenizerFile file, JsonKey key) {
    return new BpeModel(file, key);
  }

  private static String text(JsonKey key) {
    return key.isAbsent() ? "" : key.string(Normalizer.LONGEST);
  }

  private int[] byteIds() {
    int[] ids = new int[256];
    for (int b = 0; b < ids.length; b++) {
      Integer id = vocabulary.id(byteToken(b));
      ids[b] = id == null ? -1 : id;
    }
    return ids;
  }

  /** Returns the token that represents a byte. */
  static String byteToken(int b) {
    return "<0x%02X>".formatted(b);
  }

  private Merges merges(TokenizerFile file, JsonKey key) {
    List<String> sides = file.merges();
    if (!key.node().isArray()) {
      throw key.expected("an array");
    }
    Merges table = new Merges(sides.size() / 2);
    for (int i = 0; i < sides.size(); i += 2) {
      String left = sides.get(i);
      String right = sides.get(i + 1);
      if (!right.startsWith(prefix)) {
        throw merge(file, i, "a right side that begins with " + prefix, right);
      }
      table.put(
          known(file, i, left),
          known(file, i, right),
          i / 2,
          known(file, i, left.concat(right.substring(prefix.length()))));
    }
    return table;
  }

  private int known(TokenizerFile file, int side, String token) {
    Integer id = vocabulary.id(token);
    if (id == null) {
      throw merge(file, side, "tokens of the vocabulary", token);
    }
    return id;
  }

  private static InputException merge(TokenizerFile file, int side, String expected, String found) {
    return InputException.in(
        file.path(),
        "key model.merges, entry " + side / 2,
        JsonObject.shortened(expected),
        JsonObject.shortened(found));
  }

  @Override
  public void encode(String word, IdList ids, Work work) {
    if (wholeWords) {
      Integer id = vocabulary.id(word);
      if (id != null) {
        ids.add(id);
        return;
      }
    }
    int start = ids.size();
    int unknown = -1; // an unknown token that may yet take in the next character
    boolean marked = !prefix.isEmpty() || !suffix.isEmpty();
    int end;
    for (int at = 0; at < word.length(); at = end) {
      int c = word.codePointAt(at);
      end = at + Character.charCount(c);
      int id;
      String written = null;
      if (marked) {
        written =
            (at > 0 ? prefix : "") + word.substring(at, end) + (end == word.length() ? suffix : "");
        Integer known = vocabulary.id(written);
        id = known == null ? -1 : known;
      } else {
        id = id(c);
      }
      if (id >= 0) {
        if (unknown >= 0) {
          ids.add(unknown);
          unknown = -1;
        }
        ids.add(id);
      } else if (byteIds == null
          || !bytes(byteIds, written != null ? written : Character.toString(c), ids)) {
        if (unknownToken == null) {
          continue;
        }
        if (unknown >= 0 && !fuseUnknown) {
          ids.add(unknown);
        }
        if (unknown < 0 || !fuseUnknown) {
          unknown = unknownId();
        }
      }
    }
    if (unknown >= 0) {
      ids.add(unknown);
    }
    work.spend(word.length());
    ids.merge(start, merges);
  }

  private int id(int c) {
    if (c < characterIds.length) {
      return characterIds[c];
    }
    Integer id = vocabulary.id(Character.toString(c));
    return id == null ? -1 : id;
  }

  private int unknownId() {
    Integer id = unknownToken == null ? null : vocabulary.id(unknownToken);
    if (id == null) {
      throw WordModel.noUnknown(unknownKey);
    }
    return id;
  }

  /** Appends the ids of a text's bytes, if all of them have one. */
  private static boolean bytes(int[] byteIds, String text, IdList ids) {
    byte[] utf8 = text.getBytes(StandardCharsets.UTF_8);
    for (byte b : utf8) {
      if (byteIds[b & 0xFF] < 0) {
        return false;
      }
    }
    for (byte b : utf8) {
      ids.add(byteIds[b & 0xFF]);
    }
    return true;
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
