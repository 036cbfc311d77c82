package dev.jneox.corpus;

import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Removes documents that repeat themselves, by the rules of Gopher (Rae and others, 2021, appendix
 * A1) with datatrove's defaults.
 *
 * @param lines largest share of repeated lines
 * @param paragraphs largest share of repeated paragraphs
 * @param lineCharacters largest share of characters in repeated lines
 * @param paragraphCharacters largest share of characters in repeated paragraphs
 */
record GopherRepetition(
    double lines, double paragraphs, double lineCharacters, double paragraphCharacters)
    implements TextStep {
  /** Largest share of characters in the most frequent n-gram, of 2, 3 and 4 words. */
  private static final double[] TOP = {0.20, 0.18, 0.16};

  /** Largest share of characters in repeated n-grams, of 5 to 10 words. */
  private static final double[] REPEATED = {0.15, 0.14, 0.13, 0.12, 0.11, 0.10};

  static Step of(Settings options) {
    return new GopherRepetition(
        options.number("max_repeated_lines", 0.3, 0, 1),
        options.number("max_repeated_paragraphs", 0.3, 0, 1),
        options.number("max_repeated_line_characters", 0.2, 0, 1),
        options.number("max_repeated_paragraph_characters", 0.2, 0, 1));
  }

  @Override
  public String name() {
    return "gopher_repetition";
  }

  @Override
  public String describe() {
    return "removes documents that repeat lines, paragraphs or n-grams";
  }

  @Override
  public @Nullable String apply(Page page) {
    String text = page.text();
    if (text.isBlank()) {
      return "empty";
    }
    List<String> list = Arrays.asList(text.strip().split("\n{2,}"));
    Words.Repeated repeated = Words.Repeated.of(list);
    if (repeated.items() > paragraphs * list.size()) {
      return "repeated paragraphs";
    }
    if (repeated.characters() > paragraphCharacters * text.length()) {
      return "characters in repeated paragraphs";
    }
    list = Arrays.asList(text.strip().split("\n+"));
    repeated = Words.Repeated.of(list);
    if (repeated.items() > lines * list.size()) {
      return "repeated lines";
    }
    if (repeated.characters() > lineCharacters * text.length()) {
      return "characters in repeated lines";
    }
    List<String> words = Words.of(text);
    long[] hashes = new long[words.size()];
    int[] lengths = new int[words.size()];
    for (int i = 0; i < hashes.length; i++) {
      hashes[i] = hash(words.get(i));
      lengths[i] = words.get(i).length();
    }
    for (int n = 2; n < 2 + TOP.length; n++) {
      if (top(hashes, lengths, n) > TOP[n - 2] * text.length()) {
        return "frequent " + n + "-grams";
      }
    }
    for (int n = 5; n < 5 + REPEATED.length; n++) {
      if (repeated(hashes, lengths, n) > REPEATED[n - 5] * text.length()) {
        return "repeated " + n + "-grams";
      }
    }
    return null;
  }

  /**
   * Hashes a word to 64 bits: {@code String.hashCode} has 32, too few for the n-grams of a book.
   */
  private static long hash(String word) {
    long hash = 0xCBF29CE484222325L;
    for (int i = 0; i < word.length(); i++) {
      hash = (hash ^ word.charAt(i)) * 0x100000001B3L;
    }
    return hash ^ hash >>> 32;
  }

  private static long ngram(long[] hashes, int from, int n) {
    long hash = 0;
    for (int i = from; i < from + n; i++) {
      hash = (hash ^ hashes[i]) * 0x9E3779B97F4A7C15L;
      hash ^= hash >>> 29;
    }
    return hash;
  }

  /** Returns the characters, with spaces between words, of the most frequent n-gram. */
  private static long top(long[] hashes, int[] lengths, int n) {
    LongCounts counts = new LongCounts(hashes.length);
    long most = 0;
    int often = 1;
    for (int i = 0; i + n <= hashes.length; i++) {
      int count = counts.add(ngram(hashes, i, n));
      if (count > often) {
        often = count;
        most = (long) count * (characters(lengths, i, n) + n - 1);
      }
    }
    return most;
  }

  /** Returns the characters of n-grams that repeat earlier ones and do not overlap each other. */
  private static long repeated(long[] hashes, int[] lengths, int n) {
    LongCounts seen = new LongCounts(hashes.length);
    long characters = 0;
    for (int i = 0; i + n <= hashes.length; ) {
      if (seen.add(ngram(hashes, i, n)) == 1) {
        i++;
      } else {
        characters += characters(lengths, i, n);
        i += n;
      }
    }
    return characters;
  }

  private static int characters(int[] lengths, int from, int n) {
    int sum = 0;
    for (int i = from; i < from + n; i++) {
      sum += lengths[i];
    }
    return sum;
  }
}
