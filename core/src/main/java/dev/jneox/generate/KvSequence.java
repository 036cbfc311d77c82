package dev.jneox.generate;

import java.util.Arrays;

/**
 * The keys and values of one text: its ids so far and the pages that hold theirs. For one thread.
 */
final class KvSequence {
  private final KvPool pool;
  private KvPage[] pages = new KvPage[4];
  private int pageCount;
  private int[] ids = new int[64];
  private int length;

  KvSequence(KvPool pool) {
    this.pool = pool;
  }

  /** Pages that {@code positions} positions need. */
  static int pages(int positions) {
    return Math.ceilDiv(positions, KvFormat.POSITIONS);
  }

  /** Positions whose keys and values are there. */
  int length() {
    return length;
  }

  /** How many of the ids from the first on are those of {@code other}. */
  int commonPrefix(int[] other) {
    int mismatch = Arrays.mismatch(ids, 0, length, other, 0, other.length);
    return mismatch < 0 ? length : mismatch;
  }

  /** Takes pages for {@code positions} positions in all. */
  void reserve(int positions) {
    while (pageCount < pages(positions)) {
      add(pool.take());
    }
  }

  private void add(KvPage page) {
    if (pageCount == pages.length) {
      pages = Arrays.copyOf(pages, 2 * pageCount);
    }
    pages[pageCount++] = page;
  }

  int pageCount() {
    return pageCount;
  }

  /**
   * Begins as another text does: shares the full pages of what {@code prompt}'s first {@code most}
   * ids have in common with it.
   */
  void begin(KvSequence other, int[] prompt, int most) {
    int whole = Math.min(most, other.commonPrefix(prompt)) / KvFormat.POSITIONS;
    for (int p = 0; p < whole; p++) {
      add(pool.share(other.pages[p]));
    }
    append(prompt, 0, whole * KvFormat.POSITIONS);
  }

  /** Says what the positions behind the last are of; the forward pass then fills them. */
  void append(int[] from, int at, int n) {
    if (length + n > ids.length) {
      ids = Arrays.copyOf(ids, Math.max(2 * ids.length, length + n));
    }
    System.arraycopy(from, at, ids, length, n);
    length += n;
  }

  KvPage page(int position) {
    return pages[position / KvFormat.POSITIONS];
  }

  /** Whether {@code other} begins with all of this. */
  boolean isPrefixOf(KvSequence other) {
    return length <= other.length && Arrays.equals(ids, 0, length, other.ids, 0, length);
  }

  /**
   * Forgets the positions on the last page unless they fill it, and gives back what is not needed
   * then.
   */
  void keepWholePages() {
    length = length / KvFormat.POSITIONS * KvFormat.POSITIONS;
    while (pageCount > pages(length)) {
      pool.release(pages[--pageCount]);
      pages[pageCount] = null;
    }
  }

  /** Gives back all pages. */
  void release() {
    length = 0;
    keepWholePages();
  }
}
