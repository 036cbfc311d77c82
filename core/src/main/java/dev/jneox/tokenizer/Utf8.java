package dev.jneox.tokenizer;

/** UTF-8 in arrays whose text is known to be well formed, because it was written here. */
final class Utf8 {
  private Utf8() {}

  /** The text with every surrogate that has no partner replaced by U+FFFD, as UTF-8 cannot hold it. */
  static String wellFormed(String text) {
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (Character.isSurrogate(c)) {
        if (Character.isHighSurrogate(c) && i + 1 < text.length() && Character.isLowSurrogate(text.charAt(i + 1))) {
          i++;
        } else {
          return replaceLone(text.toCharArray(), i);
        }
      }
    }
    return text;
  }

  private static String replaceLone(char[] chars, int from) {
    for (int i = from; i < chars.length; i++) {
      if (Character.isHighSurrogate(chars[i]) && i + 1 < chars.length && Character.isLowSurrogate(chars[i + 1])) {
        i++;
      } else if (Character.isSurrogate(chars[i])) {
        chars[i] = '\uFFFD';
      }
    }
    return new String(chars);
  }

  /** Writes {@code n} characters, lone surrogates as U+FFFD, and returns the number of bytes; {@code out} must hold 3 a character. */
  static int write(char[] chars, int n, byte[] out) {
    int at = 0;
    for (int i = 0; i < n; i++) {
      int c = chars[i];
      if (c < 0x80) {
        out[at++] = (byte) c;
      } else if (c < 0x800) {
        out[at++] = (byte) (0xC0 | c >> 6);
        out[at++] = (byte) (0x80 | c & 0x3F);
      } else {
        if (Character.isSurrogate((char) c)) {
          if (Character.isHighSurrogate((char) c) && i + 1 < n && Character.isLowSurrogate(chars[i + 1])) {
            int codePoint = Character.toCodePoint((char) c, chars[++i]);
            out[at++] = (byte) (0xF0 | codePoint >> 18);
            out[at++] = (byte) (0x80 | codePoint >> 12 & 0x3F);
            out[at++] = (byte) (0x80 | codePoint >> 6 & 0x3F);
            out[at++] = (byte) (0x80 | codePoint & 0x3F);
            continue;
          }
          c = 0xFFFD;
        }
        out[at++] = (byte) (0xE0 | c >> 12);
        out[at++] = (byte) (0x80 | c >> 6 & 0x3F);
        out[at++] = (byte) (0x80 | c & 0x3F);
      }
    }
    return at;
  }

  /** The code point that starts at {@code at}. */
  static int codePoint(byte[] text, int at) {
    int b = text[at];
    if (b >= 0) {
      return b;
    }
    if (b < (byte) 0xE0) {
      return (b & 0x1F) << 6 | text[at + 1] & 0x3F;
    }
    if (b < (byte) 0xF0) {
      return (b & 0x0F) << 12 | (text[at + 1] & 0x3F) << 6 | text[at + 2] & 0x3F;
    }
    return (b & 0x07) << 18 | (text[at + 1] & 0x3F) << 12 | (text[at + 2] & 0x3F) << 6 | text[at + 3] & 0x3F;
  }

  /** The bytes of the code point whose first byte this is. */
  static int length(byte first) {
    return first >= 0 ? 1 : first < (byte) 0xE0 ? 2 : first < (byte) 0xF0 ? 3 : 4;
  }

  /** Where the code point that ends before {@code at} starts. */
  static int before(byte[] text, int at) {
    int start = at - 1;
    while ((text[start] & 0xC0) == 0x80) {
      start--;
    }
    return start;
  }
}
