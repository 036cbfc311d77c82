package dev.jneox.infer;

import java.util.Arrays;
import java.util.List;

/**
 * Holds the ids of one sequence so far and the pages with their keys and values. For one thread.
 */
final class KvSequence {
  private final KvPool pool;
  private final PrefixKey key;
  private final long id;
  private KvPage[] pages = new KvPage[4];
  private int pageCount;
  private int published; // pages, from the first on
  private int[] ids = new int[64];
  private int length;

  KvSequence(KvPool pool) {
    this(pool, PrefixKey.NONE);
  }

  /**
   * @param key pages are shared with sequences of the same key only
   */
  KvSequence(KvPool pool, PrefixKey key) {
    this.pool = pool;
    this.key = key;
    this.id = pool.nextSequence();
  }

  /** Returns its number among the sequences of its pool, for taps. */
  long id() {
    return id;
  }

  /** Returns the number of pages that {@code positions} positions need. */
  static int pages(int positions) {
    return Math.ceilDiv(positions, KvFormat.POSITIONS);
  }

  /** Positions whose keys and values are there. */
  int length() {
    return length;
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

  /** Begins with the longest published prefix of {@code from}'s first {@code most} ids. */
  void begin(int[] from, int most) {
    while (length + KvFormat.POSITIONS <= most) {
      KvPage page = pool.find(block(from, published));
      if (page == null) {
        return;
      }
      add(page);
      published++;
      append(from, length, KvFormat.POSITIONS);
    }
  }

  private KvPool.Block block(int[] from, int page) {
    int at = page * KvFormat.POSITIONS;
    return new KvPool.Block(
        key,
        page == 0 ? KvPool.ROOT : pages[page - 1].serial,
        Arrays.copyOfRange(from, at, at + KvFormat.POSITIONS));
  }

  /** Appends the ids of the next positions; the forward pass then fills their pages. */
  void append(int[] from, int at, int n) {
    if (length + n > ids.length) {
      ids = Arrays.copyOf(ids, Math.max(2 * ids.length, length + n));
    }
    System.arraycopy(from, at, ids, length, n);
    length += n;
  }

  /** Offers full pages to sequences with the same prefix; the forward pass has filled them. */
  void publish() {
    for (; (published + 1) * KvFormat.POSITIONS <= length; published++) {
      pages[published] = pool.publish(pages[published], block(ids, published));
    }
  }

  KvPage page(int position) {
    return pages[position / KvFormat.POSITIONS];
  }

  /** Returns the pages that are taken, the first one first. */
  List<KvPage> pages() {
    return List.of(Arrays.copyOf(pages, pageCount));
  }

  /** Gives back all pages, the last first: see {@link KvPool}. */
  void release() {
    while (pageCount > 0) {
      pool.release(pages[--pageCount]);
      pages[pageCount] = null;
    }
    published = 0;
    length = 0;
  }
}
