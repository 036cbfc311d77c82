package dev.jneox.tokenizer;

import dev.jneox.io.InputException;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Implements BERT's WordPiece: the longest token that a word begins with, then the longest
 * continuation token that the rest begins with, and so on; one unknown token for the whole word
 * where there is none.
 */
final class WordPieceModel implements WordModel {
  private final WordModel.Vocabulary vocabulary;
  private final JsonKey unknownKey;
  private final String prefix;
  private final int longestWord;
  private final Trie trie = new Trie();

  /** The node of the prefix of continuation tokens, -1 where no token begins with it. */
  private int within;

  /** For each node one more than the id of the token that ends there, or 0. */
  private int[] ends = new int[1 << 10];

  private WordPieceModel(TokenizerFile file, JsonKey key) {
    vocabulary = new WordModel.Vocabulary(file);
    unknownKey = key.at("unk_token");
    unknownKey.string();
    prefix = key.at("continuing_subword_prefix").string(Normalizer.LONGEST);
    longestWord = key.at("max_input_chars_per_word").count(0);
    file.vocab().forEach((token, id) -> add(file, token, id));
    for (int i = 0; i < prefix.length() && within >= 0; i++) {
      int child = trie.child(within, prefix.charAt(i));
      within = child == 0 ? -1 : child;
    }
  }

  static WordPieceModel read(TokenizerFile file, JsonKey key) {
    return new WordPieceModel(file, key);
  }

  private void add(TokenizerFile file, String token, int id) {
    int node = 0;
    try {
      for (int i = 0; i < token.length(); i++) {
        node = trie.grow(node, token.charAt(i));
      }
    } catch (ArithmeticException e) {
      throw new InputException(
          file.path() + ": key model.vocab: expected a smaller vocabulary, found " + e.getMessage(),
          e);
    }
    if (node >= ends.length) {
      ends = Arrays.copyOf(ends, Math.max(2 * ends.length, node + 1));
    }
    ends[node] = id + 1;
  }

  @Override
  public void encode(String word, IdList ids, Work work) {
    work.spend(word.length());
    int[] found = new int[word.length()];
    int size = 0;
    if (word.codePointCount(0, word.length()) > longestWord) {
      ids.add(unknown());
      return;
    }
    for (int at = 0; at < word.length(); ) {
      int node = at == 0 ? 0 : within;
      int longest = at;
      for (int end = at; node >= 0 && end < word.length(); ) {
        node = trie.child(node, word.charAt(end++));
        if (node == 0) {
          break;
        }
        if (node < ends.length && ends[node] != 0) {
          longest = end;
          found[size] = ends[node] - 1;
        }
      }
      if (longest == at) {
        ids.add(unknown());
        return;
      }
      size++;
      at = longest;
    }
    for (int i = 0; i < size; i++) {
      ids.add(found[i]);
    }
  }

  private int unknown() {
    Integer id = vocabulary.id(unknownKey.string());
    if (id == null) {
      throw WordModel.noUnknown(unknownKey);
    }
    return id;
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
