package dev.jneox.tokenizer;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;

/** Unicode's case folding (CaseFolding.txt), taken from the JDK's case mappings. */
final class CaseFolding {
  /** No letter beyond this one has a case. */
  private static final int LAST = 0x1FFFF;

  /** Letters that differ in case only, at least two in each. */
  private static final List<CodePointSet> CLASSES = new ArrayList<>();

  /** Letters that fold to several. */
  private static final List<Integer> SPELT_OUT = new ArrayList<>();

  /** What they fold to. */
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

  /** The set with all letters that differ from one of it in case only. */
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

  /** Whether a letter of the set folds to several letters. */
  static boolean spellsOut(CodePointSet set) {
    return SPELT_OUT.stream().anyMatch(set::contains);
  }

  /** Whether the text contains, in any case, what a single letter folds to. */
  static boolean isSpelling(String text) {
    StringBuilder folded = new StringBuilder();
    text.codePoints().forEach(c -> folded.appendCodePoint(fold(c)));
    return SPELLINGS.stream().anyMatch(spelling -> folded.indexOf(spelling) >= 0);
  }
}
