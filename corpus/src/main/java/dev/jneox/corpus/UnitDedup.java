package dev.jneox.corpus;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * Cuts out lines or paragraphs that an earlier place of the corpus has, as CCNet and dolma do. Two
 * are the same where their words are, as {@link Shingles} normalises them: case, accents,
 * punctuation and the values of numbers do not count.
 *
 * @param unit what is compared
 * @param minWords words of the shortest unit that is compared; shorter ones stay
 * @param maxShare a document of which more than this share of characters is repeated is removed
 */
record UnitDedup(Unit unit, int minWords, double maxShare) implements SpanDedup {
  /** Lists what is compared. */
  enum Unit {
    /** The text up to a line end. */
    LINE,
    /** The lines up to a blank one. */
    PARAGRAPH;

    private String plural() {
      return name().toLowerCase(Locale.ROOT) + "s";
    }
  }

  static Step.Factory of(Unit unit) {
    return options ->
        new UnitDedup(
            unit,
            options.integer("min_words", 5, 1, Integer.MAX_VALUE),
            options.number("max_share", 1, 0, 1));
  }

  @Override
  public String name() {
    return unit.name().toLowerCase(Locale.ROOT) + "_dedup";
  }

  @Override
  public String describe() {
    return "cuts out repeated %s of %d words and more%s"
        .formatted(
            unit.plural(),
            minWords,
            maxShare < 1
                ? ", removes documents with more than %s of them".formatted(maxShare)
                : "");
  }

  /** Returns where the units of a text begin, and its length: they have all characters. */
  private int[] starts(String text) {
    List<Integer> starts = new ArrayList<>();
    boolean blank = false;
    for (int from = 0; from < text.length(); ) {
      int end = text.indexOf('\n', from);
      int next = end < 0 ? text.length() : end + 1;
      boolean isBlank = text.substring(from, next).isBlank();
      if (starts.isEmpty() || unit == Unit.LINE || blank && !isBlank) {
        starts.add(from);
      }
      blank = isBlank;
      from = next;
    }
    starts.add(text.length());
    return starts.stream().mapToInt(Integer::intValue).toArray();
  }

  @Override
  public List<Key> keys(String text) {
    List<Key> keys = new ArrayList<>();
    Shingles words = new Shingles(1);
    int[] starts = starts(text);
    for (int i = 0; i + 1 < starts.length; i++) {
      if (words.read(text.substring(starts[i], starts[i + 1])) >= minWords) {
        long[] key = words.key();
        keys.add(new Key(key[0], key[1], i));
      }
    }
    return keys;
  }

  @Override
  public Cut cut(String text, int[] places) {
    int[] starts = starts(text);
    StringBuilder left = new StringBuilder(text.length());
    int from = 0;
    int cut = 0;
    for (int place : places) {
      left.append(text, from, starts[place]);
      from = starts[place + 1];
      cut += from - starts[place];
    }
    left.append(text, from, text.length());
    return new Cut(left.toString(), (double) cut / text.length());
  }

  @Override
  public String span(String text, int at, int n) {
    int[] starts = starts(text);
    return text.substring(starts[at], starts[at + n]).strip();
  }
}
