package dev.jneox.corpus;

import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Keeps documents that look like prose, by the rules of Gopher (Rae and others, 2021, appendix A1)
 * with datatrove's defaults. Words are what white space divides.
 *
 * @param minWords fewest words
 * @param maxWords most words
 * @param minMean least mean length of words with a letter or digit
 * @param maxMean largest mean length
 * @param maxSymbols most hashes, and most ellipses, for each word
 * @param maxBullets largest share of lines that begin with a bullet
 * @param maxEllipses largest share of lines that end with an ellipsis
 * @param minLetters least share of words with a letter
 * @param minStopWords fewest different stop words
 * @param stopWords the stop words
 */
record GopherQuality(
    int minWords,
    int maxWords,
    double minMean,
    double maxMean,
    double maxSymbols,
    double maxBullets,
    double maxEllipses,
    double minLetters,
    int minStopWords,
    List<String> stopWords)
    implements TextStep {
  static Step of(Settings options) {
    return new GopherQuality(
        options.integer("min_words", 50, 0, Integer.MAX_VALUE),
        options.integer("max_words", 100_000, 1, Integer.MAX_VALUE),
        options.number("min_mean_word_length", 3, 0, 1000),
        options.number("max_mean_word_length", 10, 0, 1000),
        options.number("max_symbol_ratio", 0.1, 0, 1000),
        options.number("max_bullet_lines", 0.9, 0, 1),
        options.number("max_ellipsis_lines", 0.3, 0, 1),
        options.number("min_alphabetic_words", 0.8, 0, 1),
        options.integer("min_stop_words", 2, 0, 1000),
        options.texts(
            "stop_words", List.of("the", "be", "to", "of", "and", "that", "have", "with")));
  }

  @Override
  public String name() {
    return "gopher_quality";
  }

  @Override
  public String describe() {
    return "keeps prose of %d to %d words".formatted(minWords, maxWords);
  }

  @Override
  public @Nullable String apply(Page page) {
    String text = page.text();
    List<String> words = Words.of(text);
    int n = words.size();
    if (n < minWords) {
      return "too few words";
    }
    if (n > maxWords) {
      return "too many words";
    }
    long plain = 0;
    long length = 0;
    int withLetter = 0;
    Set<String> found = new HashSet<>();
    for (String word : words) {
      if (Words.hasLetterOrDigit(word)) {
        plain++;
        length += word.length();
      }
      withLetter += Words.hasLetter(word) ? 1 : 0;
      String bare = Words.bare(word);
      if (stopWords.contains(bare)) {
        found.add(bare);
      }
    }
    double mean = plain == 0 ? 0 : (double) length / plain;
    if (mean < minMean) {
      return "words too short";
    }
    if (mean > maxMean) {
      return "words too long";
    }
    if (Words.count(text, "#") > maxSymbols * n) {
      return "too many hashes";
    }
    if (Words.count(text, "...") + Words.count(text, "\u2026") > maxSymbols * n) {
      return "too many ellipses";
    }
    List<String> lines = Words.lines(text);
    long bullets =
        lines.stream()
            .map(String::stripLeading)
            .filter(line -> line.startsWith("\u2022") || line.startsWith("-"))
            .count();
    if (bullets > maxBullets * lines.size()) {
      return "too many bullets";
    }
    long ellipses =
        lines.stream()
            .map(String::stripTrailing)
            .filter(line -> line.endsWith("...") || line.endsWith("\u2026"))
            .count();
    if (ellipses > maxEllipses * lines.size()) {
      return "too many lines that end with an ellipsis";
    }
    if (withLetter < minLetters * n) {
      return "too few words with a letter";
    }
    return found.size() < minStopWords ? "too few stop words" : null;
  }
}
