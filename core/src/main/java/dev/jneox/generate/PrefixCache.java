package dev.jneox.generate;

import java.util.ArrayDeque;
import java.util.Iterator;

/**
 * Texts that ended, the latest first, kept for requests that begin as they do; forgotten when their
 * pages are needed.
 */
final class PrefixCache {
  /** So many that looking through them costs nothing beside a step. */
  private static final int TEXTS = 64;

  private final ArrayDeque<KvSequence> texts = new ArrayDeque<>();

  /** Takes over a text that ended; only its full pages are worth keeping. */
  void remember(KvSequence text) {
    text.keepWholePages();
    if (text.length() == 0) {
      return;
    }
    // A text that this one goes on from has nothing to give that this one has not.
    for (Iterator<KvSequence> i = texts.iterator(); i.hasNext(); ) {
      KvSequence older = i.next();
      if (older.isPrefixOf(text)) {
        older.release();
        i.remove();
      }
    }
    texts.addFirst(text);
    if (texts.size() > TEXTS) {
      forgetOldest();
    }
  }

  /** The text that has most in common with the beginning of {@code prompt}, or null. */
  KvSequence longestPrefix(int[] prompt) {
    KvSequence best = null;
    int longest = 0;
    for (KvSequence text : texts) {
      int common = text.commonPrefix(prompt);
      if (common > longest) {
        longest = common;
        best = text;
      }
    }
    if (best != null) { // used: as good as new
      texts.remove(best);
      texts.addFirst(best);
    }
    return best;
  }

  /** Gives back the pages of the text that was of no use for longest; false if there is none. */
  boolean forgetOldest() {
    KvSequence oldest = texts.pollLast();
    if (oldest == null) {
      return false;
    }
    oldest.release();
    return true;
  }
}
