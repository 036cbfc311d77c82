package dev.jneox.corpus;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Cleans web pages by the rules of C4 (Raffel and others, 2020) with datatrove's defaults: drops
 * lines that are no sentences, and pages of which too little stays.
 *
 * @param minSentences fewest sentences that stay
 * @param minWords fewest words of a line that stays
 * @param maxWord longest word of a line that stays
 * @param punctuation whether a line must end with a mark of a sentence's end
 * @param curly whether a page with a curly bracket is removed
 */
record C4Rules(int minSentences, int minWords, int maxWord, boolean punctuation, boolean curly)
    implements TextStep {
  private static final Pattern CITATION = Pattern.compile("\\[\\d*]|\\[edit]|\\[citation needed]");
  private static final Pattern SENTENCE = Pattern.compile("[.!?\u2026\u3002]+[\"')\\]]*(?=\\s|$)");
  private static final List<String> POLICY =
      List.of(
          "terms of use",
          "privacy policy",
          "cookie policy",
          "uses cookies",
          "use of cookies",
          "use cookies");

  static Step of(Settings options) {
    return new C4Rules(
        options.integer("min_sentences", 5, 0, Integer.MAX_VALUE),
        options.integer("min_words_per_line", 3, 0, Integer.MAX_VALUE),
        options.integer("max_word_length", 1000, 1, Integer.MAX_VALUE),
        options.flag("terminal_punctuation", true),
        options.flag("curly_bracket", true));
  }

  @Override
  public String name() {
    return "c4";
  }

  @Override
  public String describe() {
    return "keeps lines that are sentences, in pages with %d or more".formatted(minSentences);
  }

  @Override
  public @Nullable String apply(Page page) {
    List<String> kept = new ArrayList<>();
    int sentences = 0;
    for (String whole : page.text().split("\n", -1)) {
      String line = CITATION.matcher(whole.strip()).replaceAll("");
      String lower = line.toLowerCase(Locale.ROOT);
      if (lower.contains("lorem ipsum")) {
        return "lorem ipsum";
      }
      if (curly && line.indexOf('{') >= 0) {
        return "curly bracket";
      }
      List<String> words = Words.of(line);
      boolean stays =
          words.size() >= minWords
              && words.stream().allMatch(word -> word.length() <= maxWord)
              && (!punctuation || isEnd(line))
              && !lower.contains("javascript")
              && POLICY.stream().noneMatch(lower::contains);
      if (stays) {
        kept.add(line);
        sentences += Math.max(1, (int) SENTENCE.matcher(line).results().count());
      }
    }
    if (sentences < minSentences) {
      return "too few sentences";
    }
    page.text(String.join("\n", kept));
    return null;
  }

  private static boolean isEnd(String line) {
    return !line.isEmpty()
        && ".?!\"'".indexOf(line.charAt(line.length() - 1)) >= 0
        && !line.endsWith("...");
  }
}
