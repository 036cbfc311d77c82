package dev.jneox.generate;

import java.util.ArrayDeque;

/**
 * The pages that all texts of an engine share, bounded; pages given back are used again. For one
 * thread.
 */
final class KvPool {
  private final KvFormat format;
  private final int limit;
  private final ArrayDeque<KvPage> free = new ArrayDeque<>();
  private int made;

  /**
   * @param limit most pages there may be at a time
   */
  KvPool(KvFormat format, int limit) {
    this.format = format;
    this.limit = limit;
  }

  KvFormat format() {
    return format;
  }

  int limit() {
    return limit;
  }

  /** Pages that {@link #take} can still give. */
  int available() {
    return limit - made + free.size();
  }

  /** Pages in use. */
  int used() {
    return made - free.size();
  }

  /** A page with one reader and nothing of use in it. */
  KvPage take() {
    KvPage page = free.poll();
    if (page == null) {
      if (made == limit) {
        throw new IllegalStateException("all " + limit + " pages are in use");
      }
      page = format.newPage();
      made++;
    }
    page.readers = 1;
    return page;
  }

  KvPage share(KvPage page) {
    page.readers++;
    return page;
  }

  void release(KvPage page) {
    if (--page.readers == 0) {
      free.push(page);
    }
  }
}
