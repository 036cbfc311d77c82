package dev.jneox.serve;

import dev.jneox.tokenizer.Tokenizer;
import java.util.concurrent.atomic.AtomicReferenceArray;

/**
 * Writes single tokens as text, for the lists of log-probabilities. A token that is no text by
 * itself, being part of a character, is written {@code token_id:ID}, so that two tokens never have
 * one name.
 */
final class TokenTexts {
  private static final char REPLACEMENT = '\uFFFD';

  private final Tokenizer tokenizer;
  private final AtomicReferenceArray<String> known;

  TokenTexts(Tokenizer tokenizer) {
    this.tokenizer = tokenizer;
    this.known = new AtomicReferenceArray<>(tokenizer.vocabSize());
  }

  String of(int id) {
    if (id < 0 || id >= known.length()) {
      return name(id);
    }
    String text = known.get(id);
    if (text == null) {
      text = tokenizer.decode(new int[] {id});
      if (text.isEmpty() || text.indexOf(REPLACEMENT) >= 0) {
        text = name(id);
      }
      known.set(id, text);
    }
    return text;
  }

  /** Returns the characters that a token adds to a text; none where it is part of one. */
  int length(int id) {
    String text = of(id);
    return text.equals(name(id)) ? 0 : text.codePointCount(0, text.length());
  }

  /** Names a token by its id. */
  static String name(int id) {
    return "token_id:" + id;
  }
}
