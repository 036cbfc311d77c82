package dev.jneox.tokenizer;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;

/** Implements Unicode's case folding (CaseFolding.txt) with the JDK's case mappings. */
final class CaseFolding {
  /** The last letter that has a case. */
  private static final int LAST = 0x1FFFF;

  /** Letters that differ in case only, at least two in each. */
  private static final List<int[]> CLASSES = new ArrayList<>();

  /** Letters that fold to several letters. */
  private static final List<Integer> SPELT_OUT = new ArrayList<>();

  /** The foldings of those letters. */
  private static final Set<String> SPELLINGS = new HashSet<>();

  static {
    Map<Integer, List<Integer>> classes = new HashMap<>();
    for (int c = 0; c <= LAST; c++) {
      int folded = fold(c);
      if (folded != c) {
        classes.computeIfAbsent(folded, key -> new ArrayList<>()).add(c);
      }
      if (Character.isLetter(c)) {
        String spelling = lower(upper(lower(Character.toString(c))));
        if (spelling.codePointCount(0, spelling.length()) > 1) {
          SPELT_OUT.add(c);
          SPELLINGS.add(spelling);
        }
      }
    }
    classes.forEach(
        (folded, others) -> {
          others.add(folded);
          CLASSES.add(others.stream().mapToInt(c -> c).toArray());
        });
  }

  private CaseFolding() {}

  private static String lower(String text) {
    return text.toLowerCase(Locale.ROOT);
  }

  private static String upper(String text) {
    return text.toUpperCase(Locale.ROOT);
  }

  private static int fold(int c) {
    // The dotted and the dotless i fold to "i" in Turkic languages only.
    return c == 0x130 || c == 0x131 ? c : Character.toLowerCase(Character.toUpperCase(c));
  }

  /** Adds to a set all letters that differ in case only from one of it. */
  static CodePointSet close(CodePointSet set) {
    CodePointSet closed = set;
    for (int[] letters : CLASSES) {
      int common = 0;
      for (int c : letters) {
        common += set.contains(c) ? 1 : 0;
      }
      if (common > 0 && common < letters.length) {
        for (int c : letters) {
          closed = closed.union(CodePointSet.of(c));
        }
      }
    }
    return closed;
  }

  /** Returns whether a letter of the set folds to several letters. */
  static boolean spellsOut(CodePointSet set) {
    return SPELT_OUT.stream().anyMatch(set::contains);
  }

  /** Returns whether the text contains, in any case, the folding of such a letter. */
  static boolean isSpelling(String text) {
    StringBuilder folded = new StringBuilder();
    text.codePoints().forEach(c -> folded.appendCodePoint(fold(c)));
    return SPELLINGS.stream().anyMatch(spelling -> folded.indexOf(spelling) >= 0);
  }
}
