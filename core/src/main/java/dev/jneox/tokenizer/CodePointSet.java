package dev.jneox.tokenizer;

import java.util.Arrays;
import java.util.Optional;
import java.util.function.IntConsumer;
import java.util.function.IntPredicate;

/** Represents an immutable set of code points by ascending, separate ranges. */
public final class CodePointSet {
  /** Holds no code point. */
  public static final CodePointSet NONE = new CodePointSet(new int[0]);

  /** Holds all code points, those of surrogates included. */
  public static final CodePointSet ALL = range(0, Character.MAX_CODE_POINT);

  private static final int SMALL = 0x180;

  /** First and last code point of each range. */
  private final int[] ranges;

  /** Membership of the most frequent code points. */
  private final boolean[] small = new boolean[SMALL];

  private CodePointSet(int[] ranges) {
    this.ranges = ranges;
    for (int c = 0; c < SMALL; c++) {
      small[c] = CharacterClass.in(ranges, c);
    }
  }

  /** Builds the set of one code point. */
  public static CodePointSet of(int codePoint) {
    return range(codePoint, codePoint);
  }

  /** Builds the set of the code points from {@code first} to {@code last}, both included. */
  public static CodePointSet range(int first, int last) {
    return new CodePointSet(new int[] {first, last});
  }

  /**
   * Finds the set of {@code \p{name}}: a general category, a script or one of a few properties.
   * Ignores case, spaces, hyphens and underscores.
   */
  public static Optional<CodePointSet> ofProperty(String name) {
    return Optional.ofNullable(CharacterSets.property(name));
  }

  /** Returns the code points that pass; all of them are asked. */
  public static CodePointSet of(IntPredicate predicate) {
    int[] ranges = new int[64];
    int n = 0;
    for (int c = 0; c <= Character.MAX_CODE_POINT; c++) {
      if (predicate.test(c)) {
        if (n > 0 && ranges[n - 1] == c - 1) {
          ranges[n - 1] = c;
        } else {
          if (n == ranges.length) {
            ranges = Arrays.copyOf(ranges, 2 * n);
          }
          ranges[n] = c;
          ranges[n + 1] = c;
          n += 2;
        }
      }
    }
    return new CodePointSet(Arrays.copyOf(ranges, n));
  }

  /** Returns the first and the last code point of each range in turn, ascending. */
  public int[] ranges() {
    return ranges.clone();
  }

  /** Returns whether a code point belongs to the set. */
  public boolean contains(int codePoint) {
    return codePoint < SMALL ? small[codePoint] : CharacterClass.in(ranges, codePoint);
  }

  /** Returns whether the set has no code point. */
  public boolean isEmpty() {
    return ranges.length == 0;
  }

  /** Returns the number of code points. */
  public int size() {
    int size = 0;
    for (int i = 0; i < ranges.length; i += 2) {
      size += ranges[i + 1] - ranges[i] + 1;
    }
    return size;
  }

  /** Calls for each code point in ascending order. */
  void forEach(IntConsumer consumer) {
    for (int i = 0; i < ranges.length; i += 2) {
      for (int c = ranges[i]; c <= ranges[i + 1]; c++) {
        consumer.accept(c);
      }
    }
  }

  /** Returns the set of the code points that are in one of the two. */
  public CodePointSet union(CodePointSet other) {
    int[] all = new int[ranges.length + other.ranges.length];
    int n = 0;
    int i = 0;
    int j = 0;
    while (i < ranges.length || j < other.ranges.length) {
      boolean mine = j == other.ranges.length || i < ranges.length && ranges[i] <= other.ranges[j];
      int first = mine ? ranges[i] : other.ranges[j];
      int last = mine ? ranges[i + 1] : other.ranges[j + 1];
      if (mine) {
        i += 2;
      } else {
        j += 2;
      }
      if (n > 0 && first <= all[n - 1] + 1) {
        all[n - 1] = Math.max(all[n - 1], last);
      } else {
        all[n] = first;
        all[n + 1] = last;
        n += 2;
      }
    }
    return new CodePointSet(Arrays.copyOf(all, n));
  }

  /** Returns the set of all other code points. */
  public CodePointSet complement() {
    int[] others = new int[ranges.length + 2];
    int n = 0;
    int next = 0;
    for (int i = 0; i < ranges.length; i += 2) {
      if (next < ranges[i]) {
        others[n] = next;
        others[n + 1] = ranges[i] - 1;
        n += 2;
      }
      next = ranges[i + 1] + 1;
    }
    if (next <= Character.MAX_CODE_POINT) {
      others[n] = next;
      others[n + 1] = Character.MAX_CODE_POINT;
      n += 2;
    }
    return new CodePointSet(Arrays.copyOf(others, n));
  }

  /** Returns the set of the code points that are in both. */
  public CodePointSet intersection(CodePointSet other) {
    int[] common = new int[ranges.length + other.ranges.length];
    int n = 0;
    int i = 0;
    int j = 0;
    while (i < ranges.length && j < other.ranges.length) {
      int first = Math.max(ranges[i], other.ranges[j]);
      int last = Math.min(ranges[i + 1], other.ranges[j + 1]);
      if (first <= last) {
        common[n] = first;
        common[n + 1] = last;
        n += 2;
      }
      if (ranges[i + 1] < other.ranges[j + 1]) {
        i += 2;
      } else {
        j += 2;
      }
    }
    return n == 0 ? NONE : new CodePointSet(Arrays.copyOf(common, n));
  }
}
