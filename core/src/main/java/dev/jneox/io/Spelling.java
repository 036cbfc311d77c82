package dev.jneox.io;

import java.util.Collection;
import java.util.Optional;

/** Finds the word that a misspelled one was meant to be. */
public final class Spelling {
  private Spelling() {}

  /** Counts the letters to insert, delete or replace to make one word of the other. */
  public static int edits(String a, String b) {
    int[] row = new int[b.length() + 1];
    for (int j = 0; j < row.length; j++) {
      row[j] = j;
    }
    for (int i = 1; i <= a.length(); i++) {
      int diagonal = row[0];
      row[0] = i;
      for (int j = 1; j <= b.length(); j++) {
        int replaced = diagonal + (a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1);
        diagonal = row[j];
        row[j] = Math.min(replaced, 1 + Math.min(row[j], row[j - 1]));
      }
    }
    return row[b.length()];
  }

  /** Returns the most edits with which a word still counts as a misspelling. */
  public static int tolerance(String word) {
    return Math.max(2, word.length() / 3);
  }

  /**
   * Finds the word that {@code word} begins, else the nearest one.
   *
   * @return empty where none is near; of several as near, the first
   */
  public static Optional<String> nearest(String word, Collection<String> words) {
    String best = null;
    // A word of two letters is two edits from every other.
    int least = Math.min(tolerance(word), word.length() - 1) + 1;
    for (String candidate : words) {
      int edits = candidate.startsWith(word) ? 0 : edits(word, candidate);
      if (edits < least) {
        best = candidate;
        least = edits;
      }
    }
    return Optional.ofNullable(best);
  }
}
