package dev.jneox.corpus;

import dev.jneox.data.Xxh64;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Cuts out runs of tokens that an earlier place of the corpus has, of {@code tokens} and more. A
 * token is a run of letters and digits, or another character that is not white space; runs are the
 * same where their tokens are, to the letter. Every token that is cut stays at an earlier place, in
 * the same surroundings; of a text that repeats itself one period stays.
 *
 * <p>Candidates are found by winnowing (Schleimer and others, 2003): of the grams of half the
 * length that lie in a run of {@code tokens}, the one with the least hash is kept. It follows from
 * the run alone, so that two equal runs keep the same one: none is missed. The runs around a gram
 * that two places keep are then compared whole, by hashes of 128 bits.
 *
 * @param tokens of the shortest run that is cut
 * @param maxShare a document of which more than this share of characters is repeated is removed
 */
record SubstringDedup(int tokens, double maxShare) implements SpanDedup {
  private static final long FACTOR = 0x9E3779B97F4A7C15L;

  static Step of(Settings options) {
    return new SubstringDedup(
        options.integer("tokens", 50, 4, 10_000), options.number("max_share", 1, 0, 1));
  }

  @Override
  public String name() {
    return "substring_dedup";
  }

  @Override
  public String describe() {
    return "cuts out repeated runs of %d tokens and more%s"
        .formatted(
            tokens,
            maxShare < 1
                ? ", removes documents with more than %s of them".formatted(maxShare)
                : "");
  }

  /** Is a text divided into tokens: where each begins and ends, and its hash. */
  private record Tokens(int[] starts, int[] ends, long[] hashes) {
    static Tokens of(String text) {
      int[] starts = new int[text.length() / 4 + 8];
      int[] ends = new int[starts.length];
      long[] hashes = new long[starts.length];
      int n = 0;
      for (int i = 0; i < text.length(); ) {
        int c = text.codePointAt(i);
        int from = i;
        i += Character.charCount(c);
        if (Character.isWhitespace(c)) {
          continue;
        }
        long hash = Rows.mix(c);
        if (Character.isLetterOrDigit(c)) {
          for (; i < text.length(); i += Character.charCount(c)) {
            c = text.codePointAt(i);
            if (!Character.isLetterOrDigit(c)) {
              break;
            }
            hash = Rows.mix(hash ^ c);
          }
        }
        if (n == starts.length) {
          starts = Arrays.copyOf(starts, 2 * n);
          ends = Arrays.copyOf(ends, 2 * n);
          hashes = Arrays.copyOf(hashes, 2 * n);
        }
        starts[n] = from;
        ends[n] = i;
        hashes[n++] = hash;
      }
      return new Tokens(Arrays.copyOf(starts, n), Arrays.copyOf(ends, n), Arrays.copyOf(hashes, n));
    }

    int size() {
      return starts.length;
    }
  }

  private int gram() {
    return tokens / 2;
  }

  /** Returns the grams that winnowing keeps. */
  @Override
  public List<Key> keys(String text) {
    Tokens all = Tokens.of(text);
    List<Key> keys = new ArrayList<>();
    if (all.size() < tokens) {
      return keys;
    }
    int gram = gram();
    long[] hashes = new long[all.size() - gram + 1];
    long first = 1; // the factor of the token that leaves
    for (int i = 1; i < gram; i++) {
      first *= FACTOR;
    }
    long rolling = 0;
    for (int i = 0; i < all.size(); i++) {
      if (i >= gram) {
        rolling -= first * all.hashes[i - gram];
      }
      rolling = rolling * FACTOR + all.hashes[i];
      if (i >= gram - 1) {
        hashes[i - gram + 1] = Rows.mix(rolling);
      }
    }
    int window = tokens - gram + 1;
    int least = -1;
    for (int from = 0; from + window <= hashes.length; from++) {
      int before = least;
      if (least < from) {
        least = from;
        for (int i = from + 1; i < from + window; i++) {
          least = hashes[i] <= hashes[least] ? i : least;
        }
      } else if (hashes[from + window - 1] <= hashes[least]) {
        least = from + window - 1;
      }
      if (least != before) {
        keys.add(new Key(hashes[least], Rows.mix(hashes[least]), least));
      }
    }
    return keys;
  }

  /** Returns the runs of {@code tokens} tokens that have one of the grams at {@code grams}. */
  List<Key> runs(String text, int[] grams) {
    Tokens all = Tokens.of(text);
    ByteBuffer bytes = ByteBuffer.allocate(8 * tokens + 1);
    List<Key> keys = new ArrayList<>();
    int next = 0;
    for (int at : grams) {
      int last = Math.min(at, all.size() - tokens);
      for (int from = Math.max(next, at + gram() - tokens); from <= last; from++) {
        for (int i = 0; i < tokens; i++) {
          bytes.putLong(8 * i, all.hashes[from + i]);
        }
        keys.add(
            new Key(
                Xxh64.of(bytes.array(), 0, 8 * tokens),
                Xxh64.of(bytes.array(), 0, 8 * tokens + 1),
                from));
      }
      next = Math.max(next, last + 1);
    }
    return keys;
  }

  @Override
  public Cut cut(String text, int[] places) {
    Tokens all = Tokens.of(text);
    StringBuilder left = new StringBuilder(text.length());
    int from = 0; // of the characters that stay
    int cut = 0;
    for (int i = 0; i < places.length; ) {
      int begin = places[i];
      int end = begin + tokens;
      for (i++; i < places.length && places[i] <= end; i++) {
        end = places[i] + tokens;
      }
      left.append(text, from, all.starts[begin]);
      from = end < all.size() ? all.starts[end] : text.length();
      cut += from - all.starts[begin];
    }
    left.append(text, from, text.length());
    return new Cut(left.toString(), (double) cut / text.length());
  }

  @Override
  public String span(String text, int at, int n) {
    Tokens all = Tokens.of(text);
    return text.substring(all.starts[at], all.ends[at + n - 1 + tokens - 1]);
  }
}
