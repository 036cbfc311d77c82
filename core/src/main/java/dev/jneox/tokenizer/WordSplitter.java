package dev.jneox.tokenizer;

/**
 * Splits a text into words by GPT-2's pattern, whose borders no merge crosses: {@code
 * 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+}, hand-coded over
 * UTF-8.
 */
final class WordSplitter {
  private WordSplitter() {}

  /**
   * Returns the end of the word that starts at {@code at}.
   *
   * @param text well-formed UTF-8
   * @param to the end of the text, greater than {@code at}
   */
  static int end(byte[] text, int at, int to) {
    int first = at;
    byte b = text[at];
    if (b == ' ') {
      if (++first == to) {
        return to;
      }
      b = text[first];
    } else if (b == '\'') {
      int contraction = contraction(text, at, to);
      if (contraction > at) {
        return contraction;
      }
    }
    byte kind = CharacterClass.of(Utf8.codePoint(text, first));
    return kind == CharacterClass.SPACE
        ? spaces(text, at, to)
        : run(text, first + Utf8.length(b), to, kind);
  }

  private static int run(byte[] text, int at, int to, byte kind) {
    while (at < to) {
      byte b = text[at];
      if (b >= 0) {
        if (CharacterClass.of(b) != kind) {
          return at;
        }
        at++;
      } else {
        if (CharacterClass.of(Utf8.codePoint(text, at)) != kind) {
          return at;
        }
        at += Utf8.length(b);
      }
    }
    return to;
  }

  /**
   * Returns the end of white space. Before a word, its last character belongs to the word, which
   * takes it if it is a space.
   */
  private static int spaces(byte[] text, int at, int to) {
    int end = run(text, at, to, CharacterClass.SPACE);
    if (end == to) {
      return to;
    }
    int last = Utf8.before(text, end);
    return last == at ? end : last;
  }

  private static int contraction(byte[] text, int at, int to) {
    if (to - at < 2) {
      return at;
    }
    return switch (text[at + 1]) {
      case 's', 't', 'm', 'd' -> at + 2;
      case 'r', 'v' -> to - at > 2 && text[at + 2] == 'e' ? at + 3 : at;
      case 'l' -> to - at > 2 && text[at + 2] == 'l' ? at + 3 : at;
      default -> at;
    };
  }
}
