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

  /** Sets of letters that differ in case only, at least two in each. */
  private static final List<CodePointSet> CLASSES = new ArrayList<>();

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
          CodePointSet set = CodePointSet.of((int) folded);
          for (int other : others) {
            set = set.union(CodePointSet.of(other));
          }
          CLASSES.add(set);
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
    for (CodePointSet letters : CLASSES) {
      CodePointSet common = letters.intersection(set);
      if (!common.isEmpty() && common.size() < letters.size()) {
        closed = closed.union(letters);
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
