package dev.jneox.infer;

import java.security.SecureRandom;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/**
 * Owns the pages of keys and values of an engine, bounded in number. A full page can be published
 * under the ids it holds and the page before it: a tree of prefixes, in which a prefix is found in
 * time proportional to its length however many sequences there are. Published pages without a
 * reader stay until their memory is needed, and are then reused, the least recently read first. For
 * one thread, but {@link #makeSpare}.
 */
final class KvPool {
  /** The parent of a first page. */
  static final long ROOT = 0;

  /**
   * The contents of a published page.
   *
   * @param parent serial of the page before it, or {@link #ROOT}
   * @param ids of its positions
   */
  record Block(PrefixKey key, long parent, int[] ids) {
    /** Unknown to clients, who could otherwise choose ids that all have one hash. */
    private static final int BASE = new SecureRandom().nextInt() | 1;

    @Override
    public boolean equals(Object other) {
      return other instanceof Block block
          && parent == block.parent
          && key.equals(block.key)
          && Arrays.equals(ids, block.ids);
    }

    @Override
    public int hashCode() {
      int hash = BASE * key.hashCode() + Long.hashCode(parent);
      for (int id : ids) {
        hash = BASE * hash + id;
      }
      return hash;
    }
  }

  private final KvFormat format;
  private final int limit;
  private final ArrayDeque<KvPage> free = new ArrayDeque<>();
  private final Map<Block, KvPage> published = new HashMap<>();

  /**
   * Published pages without a reader, the least recently read first. Sequences release their last
   * page first, so a page comes before the one that its prefix goes on from, and no page is reused
   * while a later one of the same prefix is kept.
   */
  private final LinkedHashSet<KvPage> unread = new LinkedHashSet<>();

  /** Made before it is needed, and counted when it is taken; null where there is none. */
  private final AtomicReference<@Nullable KvPage> spare = new AtomicReference<>();

  private int made;
  private long serials = ROOT;
  private final AtomicLong sequences = new AtomicLong();

  /**
   * @param limit most pages there may be at a time
   */
  KvPool(KvFormat format, int limit) {
    this.format = format;
    this.limit = limit;
  }

  /** The number of the next sequence; for any thread. */
  long nextSequence() {
    return sequences.getAndIncrement();
  }

  KvFormat format() {
    return format;
  }

  int limit() {
    return limit;
  }

  /** Pages that {@link #take} can still give. */
  int available() {
    return limit - made + free.size() + unread.size();
  }

  /** Pages that hold something, published ones without a reader included. */
  int used() {
    return made - free.size();
  }

  /** Takes a page with one reader and nothing of use in it. */
  KvPage take() {
    KvPage page = free.poll();
    if (page == null && made < limit) {
      KvPage ready = spare.getAndSet(null);
      page = ready == null ? format.newPage() : ready;
      made++;
    } else if (page == null) {
      if (unread.isEmpty()) {
        throw new IllegalStateException("all " + limit + " pages are in use");
      }
      page = unread.removeFirst();
      published.remove(page.block);
      page.block = null;
    }
    page.readers = 1;
    return page;
  }

  /** Returns whether {@link #take} will need a new page next and there is none in store. */
  boolean wantsSpare() {
    return free.isEmpty() && made < limit && spare.get() == null;
  }

  /**
   * Makes a page for {@link #take} to give, because the system takes a millisecond to clear one of
   * some megabytes; for any thread. Without memory for one there is none in store.
   */
  void makeSpare() {
    try {
      spare.set(format.newPage());
    } catch (OutOfMemoryError e) {
      spare.set(null); // take() meets it where a request can be told
    }
  }

  /** Adds a reader to a page. */
  private KvPage share(KvPage page) {
    if (page.readers++ == 0) {
      unread.remove(page);
    }
    return page;
  }

  void release(KvPage page) {
    if (--page.readers > 0) {
      return;
    }
    if (page.block != null) {
      unread.addLast(page);
    } else {
      free.push(page);
    }
  }

  /** Returns the published page of these contents with one more reader, or null. */
  @Nullable KvPage find(Block block) {
    KvPage page = published.get(block);
    return page == null ? null : share(page);
  }

  /**
   * Offers a full page to others. Where one with the same contents is published already, the
   * caller's reader moves to that one: its keys and values are the same to the last bit.
   *
   * @return the page that the caller reads from now on
   */
  KvPage publish(KvPage page, Block block) {
    KvPage known = published.putIfAbsent(block, page);
    if (known != null) {
      share(known);
      release(page);
      return known;
    }
    page.block = block;
    page.serial = ++serials;
    return page;
  }
}
