package dev.jneox.tokenizer;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * Reads and writes UTF-8. Except in {@link #decode}, arrays are known to be well formed, because
 * this class wrote them.
 */
final class Utf8 {
  /** Views bytes as a text in which added tokens are matched. */
  record Text(byte[] bytes) implements AddedTokens.Text {
    @Override
    public int symbol(int at) {
      return bytes[at] & 0xFF;
    }

    @Override
    public int codePoint(int at) {
      return Utf8.codePoint(bytes, at);
    }

    @Override
    public int before(int at) {
      return Utf8.before(bytes, at);
    }

    @Override
    public int after(int at) {
      return at + length(bytes[at]);
    }
  }

  private Utf8() {}

  /** Replaces every unpaired surrogate by U+FFFD, because UTF-8 cannot hold it. */
  static String wellFormed(String text) {
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (Character.isSurrogate(c)) {
        if (Character.isHighSurrogate(c)
            && i + 1 < text.length()
            && Character.isLowSurrogate(text.charAt(i + 1))) {
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
      if (Character.isHighSurrogate(chars[i])
          && i + 1 < chars.length
          && Character.isLowSurrogate(chars[i + 1])) {
        i++;
      } else if (Character.isSurrogate(chars[i])) {
        chars[i] = '\uFFFD';
      }
    }
    return new String(chars);
  }

  /**
   * Writes {@code n} characters, unpaired surrogates as U+FFFD; returns the number of bytes. {@code
   * out} must have room for 3 each.
   */
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
          if (Character.isHighSurrogate((char) c)
              && i + 1 < n
              && Character.isLowSurrogate(chars[i + 1])) {
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

  /** Writes a code point at {@code at}; returns where it ends. */
  static int put(int codePoint, byte[] out, int at) {
    if (codePoint < 0x80) {
      out[at] = (byte) codePoint;
      return at + 1;
    }
    int more = codePoint < 0x800 ? 1 : codePoint < 0x10000 ? 2 : 3;
    out[at++] = (byte) (0xFF00 >> more + 1 | codePoint >> 6 * more);
    for (int shift = 6 * (more - 1); shift >= 0; shift -= 6) {
      out[at++] = (byte) (0x80 | codePoint >> shift & 0x3F);
    }
    return at;
  }

  /** Returns the code point that starts at {@code at}. */
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
    return (b & 0x07) << 18
        | (text[at + 1] & 0x3F) << 12
        | (text[at + 2] & 0x3F) << 6
        | text[at + 3] & 0x3F;
  }

  /** Returns the bytes of a code point from its first byte. */
  static int length(byte first) {
    return first >= 0 ? 1 : first < (byte) 0xE0 ? 2 : first < (byte) 0xF0 ? 3 : 4;
  }

  /** Returns where the code point that ends before {@code at} starts. */
  static int before(byte[] text, int at) {
    int start = at - 1;
    while ((text[start] & 0xC0) == 0x80) {
      start--;
    }
    return start;
  }

  /**
   * Decodes any bytes. Invalid bytes become U+FFFD, one for each maximal subpart of a character
   * (Unicode standard, section 3.9, as Rust and browsers do). The JDK makes one of a truncated
   * surrogate where others make two.
   */
  static String decode(byte[] bytes) {
    String text = new String(bytes, StandardCharsets.UTF_8);
    if (text.indexOf('\uFFFD') < 0) {
      return text;
    }
    StringBuilder out = new StringBuilder(bytes.length);
    decode(bytes, bytes.length, out);
    return out.toString();
  }

  private static void decode(byte[] bytes, int to, StringBuilder out) {
    for (int at = 0; at < to; ) {
      int length = length(bytes[at]);
      int valid = validPart(bytes, at, length);
      out.appendCodePoint(valid == length ? codePoint(bytes, at) : 0xFFFD);
      at += Math.max(valid, 1);
    }
  }

  static boolean isWellFormed(byte[] bytes) {
    for (int at = 0; at < bytes.length; ) {
      int length = length(bytes[at]);
      if (validPart(bytes, at, length) != length) {
        return false;
      }
      at += length;
    }
    return true;
  }

  /** Decodes bytes that come in parts, each character as soon as it is complete. */
  static final class Reader {
    private byte[] rest = new byte[0];

    /** Returns the characters that are complete now. */
    String next(byte[] bytes) {
      byte[] all = Arrays.copyOf(rest, rest.length + bytes.length);
      System.arraycopy(bytes, 0, all, rest.length, bytes.length);
      int whole = all.length - unfinished(all);
      rest = Arrays.copyOfRange(all, whole, all.length);
      return decode(Arrays.copyOf(all, whole));
    }

    /** Returns the rest: U+FFFD for an incomplete character. */
    String end() {
      String last = decode(rest);
      rest = new byte[0];
      return last;
    }

    /** Returns how many bytes at the end begin a character that more bytes may complete. */
    private static int unfinished(byte[] bytes) {
      for (int n = 1; n <= Math.min(3, bytes.length); n++) {
        int at = bytes.length - n;
        if ((bytes[at] & 0xC0) != 0x80) {
          int length = length(bytes[at]);
          return length > n && validPart(bytes, at, length) == n ? n : 0;
        }
      }
      return 0;
    }
  }

  /**
   * Returns how many bytes from {@code at} on begin a character of {@code length} bytes; 0 if none
   * can start here.
   */
  private static int validPart(byte[] bytes, int at, int length) {
    int first = bytes[at] & 0xFF;
    if (length == 1) {
      return 1;
    }
    if (first < 0xC2 || first > 0xF4) {
      return 0;
    }
    // No overlong forms, no surrogates, nothing beyond U+10FFFF: the second byte tells.
    int least = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
    int most = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
    int valid = 1;
    for (; valid < length && at + valid < bytes.length; valid++) {
      int b = bytes[at + valid] & 0xFF;
      if (b < least || b > most) {
        break;
      }
      least = 0x80;
      most = 0xBF;
    }
    return valid;
  }
}
