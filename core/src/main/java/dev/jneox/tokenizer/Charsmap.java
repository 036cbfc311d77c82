package dev.jneox.tokenizer;

import dev.jneox.io.InputException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Reads SentencePiece's compiled table of replacements (its {@code precompiled_charsmap}). It is a
 * double-array trie (the Darts-clone library) over UTF-8, whose values are offsets of
 * zero-terminated texts behind it. The length of the trie in bytes comes first; all numbers are
 * little-endian.
 *
 * <p>The Hugging Face library looks up a grapheme of fewer than six bytes as a whole, else each of
 * its characters. Of the entries that are a prefix, the shortest replaces the whole.
 */
final class Charsmap {
  private static final Pattern GRAPHEME = Pattern.compile("\\X");
  private static final int LONGEST_GRAPHEME = 5;

  /**
   * The first character that can form a grapheme with another one, apart from carriage return and
   * line feed.
   */
  private static final int ALONE = 0x300;

  /** Ranges (first, last) of unassigned characters that are ignorable by default. */
  private static final int[] IGNORABLE = {
    0x2065, 0x2065, 0xFFF0, 0xFFF8, 0xE0000, 0xE0000, 0xE0002, 0xE001F, 0xE0080, 0xE00FF, 0xE01F0,
    0xE0FFF,
  };

  private final JsonKey key;
  private final int[] trie;
  private final byte[] texts;

  /**
   * Holds a normalized text.
   *
   * @param text the result
   * @param leading the UTF-16 units that come from the start of the document
   */
  record Normalized(String text, int leading) {}

  private Charsmap(JsonKey key, int[] trie, byte[] texts) {
    this.key = key;
    this.trie = trie;
    this.texts = texts;
  }

  /** Reads a table written in base 64. */
  static Charsmap read(JsonKey key) {
    byte[] bytes;
    try {
      bytes = Base64.getDecoder().decode(key.string());
    } catch (IllegalArgumentException e) {
      throw key.expected("a table in base 64");
    }
    if (bytes.length < 8) {
      throw key.expected("a table of at least 8 bytes", bytes.length + " bytes");
    }
    ByteBuffer buffer = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    long size = Integer.toUnsignedLong(buffer.getInt()) / 4;
    if (size == 0 || size * 4 > buffer.remaining()) {
      throw key.expected(
          "a table whose trie has 1 to " + buffer.remaining() / 4 + " entries", size + " entries");
    }
    int[] trie = new int[(int) size];
    buffer.asIntBuffer().get(trie);
    byte[] texts = new byte[buffer.remaining() - trie.length * 4];
    buffer.get(4 + trie.length * 4, texts);
    try {
      StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(texts));
    } catch (CharacterCodingException e) {
      throw key.expected("a table whose texts are UTF-8", "other bytes");
    }
    return new Charsmap(key, trie, texts);
  }

  /**
   * Replaces each match of an entry by its text.
   *
   * @param units how many of the text's UTF-16 units come from the start of the document
   */
  Normalized normalize(String text, int units, Work work) {
    work.spend(text.length());
    Writer writer = new Writer(text, units, work);
    Matcher graphemes = null;
    for (int at = 0; at < text.length(); ) {
      int end;
      char c = text.charAt(at);
      boolean last = at + 1 == text.length();
      if (c < ALONE && (last || text.charAt(at + 1) < ALONE && c != '\r')) {
        end = at + 1;
      } else {
        if (graphemes == null) {
          graphemes = GRAPHEME.matcher(assigned(text));
        }
        graphemes.region(at, text.length());
        end = graphemes.lookingAt() ? graphemes.end() : at + 1;
      }
      writer.grapheme(at, end);
      at = end;
    }
    return new Normalized(writer.out.toString(), writer.leading);
  }

  /**
   * Replaces unassigned characters by letters. The JDK ends a grapheme at them, as at control
   * characters; Unicode does so only at those that are ignorable by default.
   */
  private static String assigned(String text) {
    StringBuilder out = null;
    int c;
    for (int at = 0; at < text.length(); at += Character.charCount(c)) {
      c = text.codePointAt(at);
      if (Character.getType(c) == Character.UNASSIGNED && !CharacterClass.in(IGNORABLE, c)) {
        out = out == null ? new StringBuilder(text) : out;
        // A letter of as many units.
        String letter = c < 0x10000 ? "x" : "\uD800\uDC00";
        for (int i = 0; i < letter.length(); i++) {
          out.setCharAt(at + i, letter.charAt(i));
        }
      }
    }
    return out == null ? text : out.toString();
  }

  /** Normalizes one text. */
  private final class Writer {
    private final String text;
    private final int units;
    private final Work work;
    private final StringBuilder out = new StringBuilder();

    /** How much of the text the library counts as read; it loses track where nothing is written. */
    private int read;

    private int leading;
    private final byte[] utf8 = new byte[8];

    Writer(String text, int units, Work work) {
      this.text = text;
      this.units = units;
      this.work = work;
    }

    void grapheme(int from, int to) {
      if (to - from <= LONGEST_GRAPHEME && replace(from, to)) {
        return;
      }
      int end;
      for (int at = from; at < to; at = end) {
        end = at + Character.charCount(text.codePointAt(at));
        if (!replace(at, end)) {
          append(text.codePointAt(at), read);
          advance(1);
        }
      }
    }

    private void append(int c, int origin) {
      out.appendCodePoint(c);
      if (origin < units) {
        leading = out.length();
      }
    }

    /** Writes the entry for a part of the text; returns whether there is one. */
    private boolean replace(int from, int to) {
      int length = 0;
      int end;
      for (int at = from; at < to; at = end) {
        int c = text.codePointAt(at);
        end = at + Character.charCount(c);
        int bytes = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
        if (length + bytes > LONGEST_GRAPHEME) {
          return false;
        }
        length = Utf8.put(c, utf8, length);
      }
      int place = find(utf8, length);
      if (place < 0) {
        return false;
      }
      String replacement = text(place);
      work.spend(replacement.length());
      work.bound(out.length());
      trace(text.codePointCount(from, to), replacement);
      return true;
    }

    /**
     * Appends a replacement and follows the library's alignment of old and new characters. Each new
     * character replaces an old one. Additional ones belong to the last. If there are fewer, the
     * last takes the remaining old ones. An empty replacement passes them to the character before,
     * or to none.
     */
    private void trace(int old, String replacement) {
      int fresh = replacement.codePointCount(0, replacement.length());
      int added = Math.max(0, fresh - old);
      int at = 0;
      for (int i = 0; i < fresh; i++) {
        int c = replacement.codePointAt(at);
        at += Character.charCount(c);
        if (i < fresh - added) {
          append(c, read);
          advance(1);
        } else {
          append(c, Math.max(0, read - 1));
        }
      }
      if (fresh < old && !out.isEmpty()) {
        advance(old - fresh);
      }
    }

    private void advance(int characters) {
      for (int i = 0; i < characters && read < text.length(); i++) {
        read += Character.charCount(text.codePointAt(read));
      }
    }
  }

  /**
   * Returns the offset of the text for the shortest entry that is a prefix of these bytes, or -1.
   */
  private int find(byte[] bytes, int length) {
    int node = offset(unit(0));
    for (int i = 0; i < length && bytes[i] != 0; i++) {
      int label = bytes[i] & 0xFF;
      node ^= label;
      int unit = unit(node);
      if ((unit & 0x8000_00FF) != label) {
        return -1;
      }
      node ^= offset(unit);
      if ((unit >>> 8 & 1) == 1) {
        return unit(node) & Integer.MAX_VALUE;
      }
    }
    return -1;
  }

  private static int offset(int unit) {
    return unit >>> 10 << ((unit & 1 << 9) >>> 6);
  }

  private int unit(int node) {
    if (node < 0 || node >= trie.length) {
      throw broken("a trie whose entries lie in it", "entry " + Integer.toUnsignedString(node));
    }
    return trie[node];
  }

  private String text(int place) {
    if (place > texts.length || place < texts.length && (texts[place] & 0xC0) == 0x80) {
      throw broken("texts that begin at a character", "place " + place);
    }
    int end = place;
    while (end < texts.length && texts[end] != 0) {
      if (++end - place > Normalizer.LONGEST) {
        throw broken("texts of at most " + Normalizer.LONGEST + " bytes", "a longer one");
      }
    }
    return new String(texts, place, end - place, StandardCharsets.UTF_8);
  }

  private InputException broken(String expected, String found) {
    return key.expected("a table of " + expected, found);
  }
}
