package dev.jneox.corpus;

import dev.jneox.data.Xxh64;
import java.text.Normalizer;
import java.util.Arrays;

/**
 * Hashes the n-grams of a text's words. Words are runs of letters and digits in lower case without
 * accents (NFD, marks dropped), each number is {@code 0}, and an ideograph, kana or Thai letter is
 * a word of its own. The hash is XXH64 of the words with a space between them, in UTF-8.
 */
final class Shingles {
  private final int ngram;
  private byte[] bytes = new byte[1 << 12];
  private int[] starts = new int[1 << 9];
  private int[] ends = new int[1 << 9];
  private int size;
  private int words;
  private long[] hashes = new long[1 << 9];

  Shingles(int ngram) {
    this.ngram = ngram;
  }

  /** Reads a text and returns the number of its n-grams; {@link #hashes} has them. */
  int read(String text) {
    words(text);
    int n = Math.max(0, words - ngram + 1);
    if (hashes.length < n) {
      hashes = new long[n + n / 2];
    }
    for (int i = 0; i < n; i++) {
      hashes[i] = Xxh64.of(bytes, starts[i], ends[i + ngram - 1]);
    }
    return n;
  }

  /** Returns the hashes of the last text, in its order; the array may be longer. */
  long[] hashes() {
    return hashes;
  }

  /** Returns a 128-bit hash of all words of the last text. */
  long[] key() {
    put((byte) ' '); // the longer of two inputs of the hash
    size--;
    return new long[] {Xxh64.of(bytes, 0, size), Xxh64.of(bytes, 0, size + 1)};
  }

  /** Returns n-gram {@code i} of the last text, normalised. */
  String ngram(int i) {
    return new String(
        bytes, starts[i], ends[i + ngram - 1] - starts[i], java.nio.charset.StandardCharsets.UTF_8);
  }

  private void words(String original) {
    String text =
        isAscii(original) ? original : Normalizer.normalize(original, Normalizer.Form.NFD);
    size = 0;
    words = 0;
    boolean inWord = false;
    boolean inNumber = false;
    for (int i = 0; i < text.length(); ) {
      int c = text.codePointAt(i);
      i += Character.charCount(c);
      if (c < 128) {
        boolean digit = c >= '0' && c <= '9';
        boolean letter = c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z';
        if (digit || letter) {
          if (!inWord) {
            begin();
            inWord = true;
          }
          if (!(digit && inNumber)) {
            put((byte) (digit ? '0' : c >= 'a' ? c : c + 32));
          }
          inNumber = digit;
          continue;
        }
      } else if (Character.isLetter(c)) {
        boolean alone = standsAlone(c);
        if (!inWord || alone) {
          if (inWord) {
            end();
          }
          begin();
        }
        put(Character.toLowerCase(c));
        inNumber = false;
        inWord = !alone;
        if (alone) {
          end();
        }
        continue;
      } else if (Character.getType(c) == Character.NON_SPACING_MARK) {
        continue;
      } else if (Character.isDigit(c)) {
        if (!inWord) {
          begin();
          inWord = true;
        }
        if (!inNumber) {
          put((byte) '0');
        }
        inNumber = true;
        continue;
      }
      if (inWord) {
        end();
      }
      inWord = false;
      inNumber = false;
    }
    if (inWord) {
      end();
    }
  }

  private static boolean isAscii(String text) {
    for (int i = 0; i < text.length(); i++) {
      if (text.charAt(i) >= 128) {
        return false;
      }
    }
    return true;
  }

  /** Scripts that are written without spaces. */
  private static boolean standsAlone(int c) {
    return c >= 0x0E00 && (Character.isIdeographic(c) || c <= 0x0EFF || c >= 0x3040 && c <= 0x30FF);
  }

  private void begin() {
    if (words == starts.length) {
      starts = Arrays.copyOf(starts, 2 * words);
      ends = Arrays.copyOf(ends, 2 * words);
    }
    if (size > 0) {
      put((byte) ' ');
    }
    starts[words] = size;
  }

  private void end() {
    ends[words++] = size;
  }

  private void put(byte b) {
    if (size == bytes.length) {
      bytes = Arrays.copyOf(bytes, 2 * size);
    }
    bytes[size++] = b;
  }

  private void put(int c) {
    if (c < 0x80) {
      put((byte) c);
    } else if (c < 0x800) {
      put((byte) (0xC0 | c >> 6));
      put((byte) (0x80 | c & 0x3F));
    } else if (c < 0x10000) {
      put((byte) (0xE0 | c >> 12));
      put((byte) (0x80 | c >> 6 & 0x3F));
      put((byte) (0x80 | c & 0x3F));
    } else {
      put((byte) (0xF0 | c >> 18));
      put((byte) (0x80 | c >> 12 & 0x3F));
      put((byte) (0x80 | c >> 6 & 0x3F));
      put((byte) (0x80 | c & 0x3F));
    }
  }
}
