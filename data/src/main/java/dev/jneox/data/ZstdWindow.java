package dev.jneox.data;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/**
 * Keeps the output of a zstd frame as far back as its window reaches. The newest bytes are in an
 * array on the heap; older ones than {@link #NEAR} are in pages outside the heap, allocated when
 * they are needed: memory grows with the content, up to the window.
 */
final class ZstdWindow implements AutoCloseable {
  /** The most bytes of a block. */
  static final int BLOCK = 1 << 17;

  /**
   * Bytes behind the content that may be overwritten, because copies move eight bytes at a time.
   */
  private static final int SLACK = 16;

  /** History that stays in the array; zstd writes larger windows only above level 19. */
  static final int NEAR = 1 << 23;

  private static final int PAGE = 1 << 20;

  private final Arena arena = Arena.ofShared();
  private byte[] array = {};
  private int end; // of the content of the array
  private long dropped; // bytes of the frame before those in the array
  private long size;
  private MemorySegment[] pages = {}; // a ring
  private int ring; // its pages in this frame

  /** Begins a frame: forgets what was there. */
  void begin(long size) {
    this.size = size;
    end = 0;
    dropped = 0;
    ring = size > NEAR ? (int) Math.ceilDiv(size, PAGE) + 1 : 0;
    if (pages.length < ring) {
      pages = Arrays.copyOf(pages, ring);
    }
  }

  /** Returns the array, which {@link #reserve} replaces. */
  byte[] array() {
    return array;
  }

  /** Returns where the content of the array ends. */
  int end() {
    return end;
  }

  /** Sets the end of the content. */
  void end(int end) {
    this.end = end;
  }

  /** Returns the bytes of the frame so far. */
  long total() {
    return dropped + end;
  }

  /** Returns the largest offset that a match at {@code at} of the array may have. */
  long reach(int at) {
    return Math.min(size, dropped + at);
  }

  /** Makes room for another block; the content of the array may move. */
  void reserve() throws IOException {
    int keep = (int) Math.min(size, NEAR);
    int full = 2 * keep + BLOCK + SLACK;
    int needed = end + BLOCK + SLACK;
    if (needed > array.length && array.length < full) {
      array = Arrays.copyOf(array, Math.min(full, Math.max(2 * array.length, needed)));
    }
    if (needed > array.length) {
      int old = end - keep;
      if (ring > 0) {
        store(old);
      }
      System.arraycopy(array, old, array, 0, keep);
      dropped += old;
      end = keep;
    }
  }

  /** Copies the first {@code n} bytes of the array to the pages. */
  private void store(int n) throws IOException {
    for (int done = 0; done < n; ) {
      long position = dropped + done;
      int page = (int) (position / PAGE % ring);
      int within = (int) (position % PAGE);
      int piece = Math.min(n - done, PAGE - within);
      if (pages[page] == null) {
        pages[page] = allocate();
      }
      MemorySegment.copy(array, done, pages[page], ValueLayout.JAVA_BYTE, within, piece);
      done += piece;
    }
  }

  private MemorySegment allocate() throws IOException {
    try {
      return arena.allocate(PAGE);
    } catch (OutOfMemoryError e) {
      throw new IOException(
          "a zstd window of "
              + size
              + " bytes does not fit in memory: give java a larger -Xmx or -XX:MaxDirectMemorySize",
          e);
    }
  }

  /**
   * Copies {@code n} bytes to {@code at} of the array, from {@code offset} bytes before, where that
   * is before the array.
   */
  void copyFar(long offset, int at, int n) {
    long position = dropped + at - offset;
    int done = 0;
    while (done < n && position + done < dropped) {
      long from = position + done;
      MemorySegment page = pages[(int) (from / PAGE % ring)];
      int within = (int) (from % PAGE);
      int piece = (int) Math.min(Math.min(n - done, PAGE - within), dropped - from);
      MemorySegment.copy(page, ValueLayout.JAVA_BYTE, within, array, at + done, piece);
      done += piece;
    }
    // The rest begins where the array does, far before `at`.
    System.arraycopy(array, 0, array, at + done, n - done);
  }

  @Override
  public void close() {
    if (arena.scope().isAlive()) {
      arena.close();
    }
  }
}
