package dev.jneox.tokenizer;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * Implements GPT-2's way to write bytes in a JSON vocabulary, as one printable character each. The
 * printable ones of Latin-1 represent themselves, the 68 others (controls, white space, the soft
 * hyphen) become U+0100 and up in order; a space is 'Ġ', a newline 'Ċ'.
 */
final class ByteAlphabet {
  private static final char[] CHARACTERS = new char[256];
  private static final short[] BYTES = new short[256 + 68];

  static {
    Arrays.fill(BYTES, (short) -1);
    int shifted = 256;
    for (int b = 0; b < 256; b++) {
      boolean printable = b >= '!' && b <= '~' || b >= 0xA1 && b <= 0xFF && b != 0xAD;
      CHARACTERS[b] = (char) (printable ? b : shifted++);
      BYTES[CHARACTERS[b]] = (short) b;
    }
  }

  private ByteAlphabet() {}

  /** Returns the character that represents a byte, 0..255. */
  static char character(int b) {
    return CHARACTERS[b];
  }

  /** Appends the characters for the UTF-8 bytes of a code point. */
  static void append(int codePoint, StringBuilder out) {
    byte[] bytes = new byte[4];
    int n = Utf8.put(codePoint, bytes, 0);
    for (int i = 0; i < n; i++) {
      out.append(CHARACTERS[bytes[i] & 0xFF]);
    }
  }

  /**
   * Returns the bytes of a token. A token with a character outside the alphabet (an added token)
   * represents its own UTF-8.
   */
  static byte[] read(String token) {
    byte[] bytes = new byte[token.length()];
    for (int i = 0; i < bytes.length; i++) {
      char c = token.charAt(i);
      if (c >= BYTES.length || BYTES[c] < 0) {
        return Utf8.wellFormed(token).getBytes(StandardCharsets.UTF_8);
      }
      bytes[i] = (byte) BYTES[c];
    }
    return bytes;
  }
}
