package dev.jneox.tokenizer;

import java.text.Normalizer;
import java.util.Arrays;

/**
 * Implements Unicode's normalization forms as the tokenizers library computes them, with the tables
 * of Unicode 11. The JDK's tables are newer. Characters that later versions compose, decompose or
 * reorder are left unchanged, and the text between them is normalized.
 */
enum NormalForm {
  NFC(Normalizer.Form.NFC),
  NFD(Normalizer.Form.NFD),
  NFKC(Normalizer.Form.NFKC),
  NFKD(Normalizer.Form.NFKD);

  /** The first character that NFC may change. */
  static final int FIRST = 0x300;

  /** A longer run of marks is ordered before the JDK normalizes it. */
  private static final int LONG_RUN = 64;

  /**
   * Ranges (first, last) of characters that take part in normalization only since Unicode 12 to 16.
   */
  private static final int[] LATER = {
    0x7FD, 0x7FD, 0x897, 0x89F, 0x8CA, 0x8D3, 0x9FE, 0x9FE, 0xC3C, 0xC3C, 0xD3B, 0xD3C, 0xEBA,
    0xEBA, 0x1715, 0x1715, 0x1ABF, 0x1ACE, 0x1DF6, 0x1DFA, 0x32FF, 0x32FF, 0xA7F2, 0xA7F4, 0xA82C,
    0xA82C, 0xAB69, 0xAB69, 0x105C9, 0x105C9, 0x105D2, 0x105D2, 0x105DA, 0x105DA, 0x105E4, 0x105E4,
    0x10781, 0x10785, 0x10787, 0x107B0, 0x107B2, 0x107BA, 0x10D24, 0x10D27, 0x10D69, 0x10D6D,
    0x10EAB, 0x10EAC, 0x10EFD, 0x10EFF, 0x10F46, 0x10F50, 0x10F82, 0x10F85, 0x11070, 0x11070,
    0x1133B, 0x1133B, 0x11382, 0x11385, 0x1138B, 0x1138B, 0x1138E, 0x1138E, 0x11390, 0x11391,
    0x113B8, 0x113B8, 0x113BB, 0x113BB, 0x113C2, 0x113C2, 0x113C5, 0x113C5, 0x113C7, 0x113C9,
    0x113CE, 0x113D0, 0x1145E, 0x1145E, 0x11839, 0x1183A, 0x11930, 0x11930, 0x11935, 0x11935,
    0x11938, 0x11938, 0x1193D, 0x1193E, 0x11943, 0x11943, 0x119E0, 0x119E0, 0x11A34, 0x11A34,
    0x11A47, 0x11A47, 0x11A99, 0x11A99, 0x11D42, 0x11D42, 0x11D44, 0x11D45, 0x11D97, 0x11D97,
    0x11F41, 0x11F42, 0x1611E, 0x16129, 0x1612F, 0x1612F, 0x16D63, 0x16D63, 0x16D67, 0x16D6A,
    0x16FF0, 0x16FF1, 0x1CCD6, 0x1CCF9, 0x1E030, 0x1E06D, 0x1E08F, 0x1E08F, 0x1E130, 0x1E136,
    0x1E2AE, 0x1E2AE, 0x1E2EC, 0x1E2EF, 0x1E4EC, 0x1E4EF, 0x1E5EE, 0x1E5EF, 0x1F16C, 0x1F16C,
    0x1FBF0, 0x1FBF9,
  };

  private final Normalizer.Form form;

  NormalForm(Normalizer.Form form) {
    this.form = form;
  }

  /**
   * Returns whether normalization leaves the text unchanged; false where that takes too long to
   * find out.
   */
  boolean isNormalized(String text) {
    // The later characters cannot make a text that passes under the newer tables fail under the
    // older.
    return !hasLongRun(text) && Normalizer.isNormalized(text, form);
  }

  /** Normalizes a text in time proportional to its length. */
  String normalize(String text) {
    StringBuilder out = null;
    int from = 0;
    for (int at = 0; at < text.length(); at++) {
      int codePoint = text.codePointAt(at);
      int end = at + Character.charCount(codePoint);
      if (later(codePoint)) {
        out = out == null ? new StringBuilder(text.length()) : out;
        out.append(apply(text.substring(from, at))).append(text, at, end);
        from = end;
      }
      at = end - 1;
    }
    String rest = apply(text.substring(from));
    return out == null ? rest : out.append(rest).toString();
  }

  private String apply(String text) {
    return Normalizer.normalize(hasLongRun(text) ? ordered(text) : text, form);
  }

  private static boolean later(int codePoint) {
    return codePoint >= LATER[0] && CharacterClass.in(LATER, codePoint);
  }

  /**
   * Returns whether the text has a long run of marks. It samples characters at a distance that no
   * such run fits between.
   */
  private static boolean hasLongRun(String text) {
    int marks = 0;
    for (int at = 0; at < text.length(); at += LONG_RUN / 4) {
      boolean second = at > 0 && Character.isLowSurrogate(text.charAt(at));
      int c = second ? text.codePointAt(at - 1) : text.codePointAt(at);
      marks = c >= FIRST && mark(c) ? marks + 1 : 0;
      if (marks > 3) {
        return true;
      }
    }
    return false;
  }

  private static boolean mark(int codePoint) {
    return switch (Character.getType(codePoint)) {
      case Character.NON_SPACING_MARK, Character.COMBINING_SPACING_MARK, Character.ENCLOSING_MARK ->
          true;
      default -> false;
    };
  }

  /**
   * Puts the marks of each run in canonical order (Unicode standard, section 3.11), which changes
   * none of the text's forms. The JDK moves each mark one by one, in time quadratic in the run.
   */
  private static String ordered(String text) {
    int[] codePoints = text.codePoints().toArray();
    StringBuilder out = new StringBuilder(text.length());
    for (int at = 0; at < codePoints.length; ) {
      if (!mark(codePoints[at])) {
        out.appendCodePoint(codePoints[at++]);
        continue;
      }
      int from = at;
      while (at < codePoints.length && mark(codePoints[at])) {
        at++;
      }
      run(Arrays.copyOfRange(codePoints, from, at), out);
    }
    return out.toString();
  }

  private static void run(int[] marks, StringBuilder out) {
    // Some marks stand for two others, which have classes of their own.
    StringBuilder decomposed = new StringBuilder(marks.length);
    for (int mark : marks) {
      decomposed.append(Normalizer.normalize(Character.toString(mark), Normalizer.Form.NFD));
    }
    int[] all = decomposed.codePoints().toArray();
    for (int from = 0; from < all.length; ) {
      int to = from;
      while (to < all.length && CombiningClass.of(all[to]) != 0) {
        to++;
      }
      if (to == from) {
        out.appendCodePoint(all[from++]);
        continue;
      }
      long[] keys = new long[to - from]; // (class, place): a stable sort
      for (int i = from; i < to; i++) {
        keys[i - from] = (long) CombiningClass.of(all[i]) << 32 | i;
      }
      Arrays.sort(keys);
      for (long key : keys) {
        out.appendCodePoint(all[(int) key]);
      }
      from = to;
    }
  }

  /**
   * Finds the order of the canonical combining classes, which the JDK has but does not expose: a
   * mark of a lower class moves before one of a higher.
   */
  private static final class CombiningClass {
    /** A mark of each class, the lowest class first. */
    private static int[] examples = {};

    /** For each code point one more than the index of its class, 0 for those that do not move. */
    private static final byte[] CLASSES = new byte[Character.MAX_CODE_POINT + 1];

    /** A mark of the highest class: every other mark that moves at all moves before it. */
    private static final int HIGHEST = 0x345;

    static {
      int[] marks = new int[8192];
      int n = 0;
      for (int c = FIRST; c < CLASSES.length; c++) {
        if (mark(c)
            && !later(c)
            && Normalizer.isNormalized(Character.toString(c), Normalizer.Form.NFD)
            && (c == HIGHEST || moves(HIGHEST, c))) {
          marks[n++] = c;
        }
      }
      int[] places = new int[n];
      for (int i = 0; i < n; i++) {
        places[i] = place(marks[i]);
        if (places[i] < 0) {
          insert(~places[i], marks[i]);
        }
      }
      for (int i = 0; i < n; i++) {
        CLASSES[marks[i]] = (byte) (1 + place(marks[i]));
      }
    }

    static int of(int codePoint) {
      return CLASSES[codePoint];
    }

    private static int place(int mark) {
      int low = 0;
      int high = examples.length - 1;
      while (low <= high) {
        int middle = low + high >>> 1;
        if (moves(examples[middle], mark)) {
          high = middle - 1;
        } else if (moves(mark, examples[middle])) {
          low = middle + 1;
        } else {
          return middle;
        }
      }
      return ~low;
    }

    private static void insert(int at, int mark) {
      int[] more = new int[examples.length + 1];
      System.arraycopy(examples, 0, more, 0, at);
      more[at] = mark;
      System.arraycopy(examples, at, more, at + 1, examples.length - at);
      examples = more;
    }

    /** Returns whether normalization swaps two marks. */
    private static boolean moves(int first, int second) {
      String pair = Character.toString(first) + Character.toString(second);
      return !Normalizer.isNormalized(pair, Normalizer.Form.NFD);
    }
  }
}
