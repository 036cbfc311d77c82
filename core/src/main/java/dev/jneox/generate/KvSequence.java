package dev.jneox.generate;

import java.util.Arrays;

/** The keys and values of one text: its ids so far and the pages that hold theirs. For one thread. */
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

  /** Begins with the first {@code positions} of another text: shares its full pages and copies the one that begins to differ. */
  void begin(KvSequence other, int positions) {
    int whole = positions / KvFormat.POSITIONS;
    for (int p = 0; p < whole; p++) {
      add(pool.share(other.pages[p]));
    }
    if (positions % KvFormat.POSITIONS > 0) {
      KvPage copy = pool.take();
      copy.copyFrom(other.pages[whole]);
      add(copy);
    }
    append(other.ids, 0, positions);
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

  /** Gives back the pages behind the last position. */
  void trim() {
    while (pageCount > pages(length)) {
      pool.release(pages[--pageCount]);
      pages[pageCount] = null;
    }
  }

  /** Gives back all pages. */
  void release() {
    length = 0;
    trim();
  }
}
