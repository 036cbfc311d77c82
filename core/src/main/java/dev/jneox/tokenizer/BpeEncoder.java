package dev.jneox.tokenizer;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * Encodes one text at a time for a {@link ByteLevelBpe}. It holds buffers and a cache of words, and
 * is not thread-safe.
 */
final class BpeEncoder {
  /** Buffers for a longer document are freed after it. */
  private static final int KEPT = 1 << 20;

  /** Handles a piece of text. */
  private interface Piece {
    void accept(byte[] text, int from, int to);
  }

  private final ByteLevelBpe.Rules rules;
  private final WordCache cache = new WordCache();
  private final Piece normalizePiece = this::normalize;
  private final Piece normalizedPiece = this::findNormalized;
  private final Piece wordsPiece = this::splitWords;
  private char[] characters = new char[0];
  private byte[] utf8 = new byte[0];
  private int[] ids = new int[0];
  private int size;

  BpeEncoder(ByteLevelBpe.Rules rules) {
    this.rules = rules;
  }

  int[] encode(String text) {
    int n = text.length();
    if (characters.length < n) {
      characters = new char[roomy(n)];
    }
    text.getChars(0, n, characters, 0);
    int all = 0;
    for (int i = 0; i < n; i++) {
      all |= characters[i];
    }
    int length = write(n, all < 0x80);
    // Every part of a normalized text is normalized; only other texts are looked at piece by piece.
    boolean normalized =
        !rules.nfc() || all < NormalForm.FIRST || NormalForm.NFC.isNormalized(text);
    size = 0;
    cut(rules.raw(), utf8, 0, length, normalized ? normalizedPiece : normalizePiece);
    int[] encoded = Arrays.copyOf(ids, size);
    if (n > KEPT) {
      characters = new char[0];
      utf8 = new byte[0];
      ids = new int[0];
    }
    return encoded;
  }

  /** Writes the characters to {@link #utf8} and returns the number of bytes. */
  private int write(int n, boolean ascii) {
    long bytes = (ascii ? 1L : 3L) * n + WordCache.SLACK;
    if (utf8.length < bytes) {
      utf8 = new byte[roomy(bytes)];
    }
    if (!ascii) {
      return Utf8.write(characters, n, utf8);
    }
    for (int i = 0; i < n; i++) {
      utf8[i] = (byte) characters[i];
    }
    return n;
  }

  /** Returns a buffer size with reserve, so that slightly longer texts need no new buffer. */
  private static int roomy(long n) {
    return Math.toIntExact(n + Math.min(n, KEPT));
  }

  /** Emits the ids of the added tokens in a text and passes the text between them on. */
  private void cut(AddedTokens tokens, byte[] text, int from, int to, Piece between) {
    tokens.cut(
        new Utf8.Text(text),
        from,
        to,
        new AddedTokens.Parts() {
          @Override
          public void token(int id) {
            reserve(1);
            ids[size++] = id;
          }

          @Override
          public void text(int start, int end) {
            between.accept(text, start, end);
          }
        });
  }

  private void normalize(byte[] text, int from, int to) {
    String piece =
        NormalForm.NFC.normalize(new String(text, from, to - from, StandardCharsets.UTF_8));
    byte[] bytes = piece.getBytes(StandardCharsets.UTF_8);
    findNormalized(Arrays.copyOf(bytes, bytes.length + WordCache.SLACK), 0, bytes.length);
  }

  private void findNormalized(byte[] text, int from, int to) {
    if (rules.normalized().isEmpty()) {
      splitWords(text, from, to);
    } else {
      cut(rules.normalized(), text, from, to, wordsPiece);
    }
  }

  private void splitWords(byte[] text, int from, int to) {
    if (rules.prefixSpace() && text[from] != ' ') {
      byte[] prefixed = new byte[to - from + 1 + WordCache.SLACK];
      prefixed[0] = ' ';
      System.arraycopy(text, from, prefixed, 1, to - from);
      encodeWords(prefixed, 0, to - from + 1);
    } else {
      encodeWords(text, from, to);
    }
  }

  private void encodeWords(byte[] text, int from, int to) {
    for (int word = from; word < to; ) {
      int end = rules.words() ? WordSplitter.end(text, word, to) : to;
      reserve(end - word);
      int found = cache.find(text, word, end, ids, size);
      size = found >= 0 ? found : merge(text, word, end);
      word = end;
    }
  }

  /** Encodes a word that is not in the cache; returns where its ids end. */
  private int merge(byte[] text, int from, int to) {
    for (int i = from; i < to; i++) {
      ids[size + i - from] = rules.byteIds()[text[i] & 0xFF];
    }
    int n = rules.merges().apply(ids, size, to - from);
    cache.put(text, from, to, ids, size, n);
    return size + n;
  }

  /** Makes room for the ids of so many bytes. */
  private void reserve(int bytes) {
    if (ids.length - size < (long) bytes + WordCache.SLACK) {
      long wanted =
          Math.min((long) size + bytes + WordCache.SLACK + ids.length / 2, Integer.MAX_VALUE - 8);
      ids = Arrays.copyOf(ids, (int) wanted);
    }
  }
}
