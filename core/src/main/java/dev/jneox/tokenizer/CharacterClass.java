package dev.jneox.tokenizer;

/** Classifies every code point as GPT-2's pattern does. */
final class CharacterClass {
  static final byte OTHER = 0;

  /** Unicode's general category L. */
  static final byte LETTER = 1;

  /** Unicode's general category N. */
  static final byte NUMBER = 2;

  /** Unicode's property White_Space, which is a regular expression's {@code \s}. */
  static final byte SPACE = 3;

  private static final byte[] CLASSES = new byte[Character.MAX_CODE_POINT + 1];

  static {
    for (int codePoint = 0; codePoint < CLASSES.length; codePoint++) {
      CLASSES[codePoint] = classify(codePoint);
    }
  }

  private CharacterClass() {}

  static byte of(int codePoint) {
    return CLASSES[codePoint];
  }

  /** Returns whether a code point lies in one of the ranges (first, last), which are ascending. */
  static boolean in(int[] ranges, int codePoint) {
    int low = 0;
    int high = ranges.length / 2 - 1;
    while (low <= high) {
      int middle = low + high >>> 1;
      if (codePoint < ranges[2 * middle]) {
        high = middle - 1;
      } else if (codePoint > ranges[2 * middle + 1]) {
        low = middle + 1;
      } else {
        return true;
      }
    }
    return false;
  }

  private static byte classify(int codePoint) {
    return switch (Character.getType(codePoint)) {
      case Character.UPPERCASE_LETTER,
          Character.LOWERCASE_LETTER,
          Character.TITLECASE_LETTER,
          Character.MODIFIER_LETTER,
          Character.OTHER_LETTER ->
          LETTER;
      case Character.DECIMAL_DIGIT_NUMBER, Character.LETTER_NUMBER, Character.OTHER_NUMBER ->
          NUMBER;
      case Character.SPACE_SEPARATOR, Character.LINE_SEPARATOR, Character.PARAGRAPH_SEPARATOR ->
          SPACE;
      default -> codePoint >= '\t' && codePoint <= '\r' || codePoint == 0x85 ? SPACE : OTHER;
    };
  }

  /**
   * Returns whether a code point is a word character, {@code \w}, next to which an added token of a
   * single word does not match.
   */
  static boolean word(int codePoint) {
    return Character.isAlphabetic(codePoint)
        || switch (Character.getType(codePoint)) {
          case Character.NON_SPACING_MARK,
              Character.COMBINING_SPACING_MARK,
              Character.ENCLOSING_MARK,
              Character.DECIMAL_DIGIT_NUMBER,
              Character.CONNECTOR_PUNCTUATION ->
              true;
          default -> codePoint == 0x200C || codePoint == 0x200D;
        };
  }
}
