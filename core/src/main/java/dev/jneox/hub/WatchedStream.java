package dev.jneox.hub;

import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;

/**
 * An answer's body that ends in an {@link IOException} when it brings too little for too long: a
 * read of its own would wait for ever.
 */
final class WatchedStream extends FilterInputStream {
  private static final ScheduledExecutorService WATCH =
      Executors.newSingleThreadScheduledExecutor(
          Thread.ofPlatform().daemon().name("hub-watch").factory());

  private final AtomicLong count = new AtomicLong();
  private final Future<?> watch;
  private final Patience patience;
  private volatile boolean stalled;
  private long seen;

  WatchedStream(InputStream in, Patience patience) {
    super(in);
    this.patience = patience;
    long every = patience.stall().toNanos();
    this.watch = WATCH.scheduleAtFixedRate(this::look, every, every, TimeUnit.NANOSECONDS);
  }

  private void look() {
    long now = count.get();
    if (now - seen < patience.stallBytes()) {
      stalled = true;
      try {
        close();
      } catch (IOException e) {
        // The reader is told.
      }
    }
    seen = now;
  }

  @Override
  public int read() throws IOException {
    byte[] one = new byte[1];
    return read(one, 0, 1) < 0 ? -1 : one[0] & 0xFF;
  }

  @Override
  public int read(byte[] bytes, int offset, int length) throws IOException {
    try {
      int n = super.read(bytes, offset, length);
      if (stalled) {
        throw new IOException("stalled");
      }
      count.addAndGet(Math.max(0, n));
      return n;
    } catch (IOException e) {
      if (stalled) {
        String allowed =
            patience.stallBytes() + " bytes within " + patience.stall().toMillis() / 1e3 + " s";
        throw new IOException("fewer than " + allowed + " after " + count + " bytes", e);
      }
      throw e;
    }
  }

  @Override
  public void close() throws IOException {
    watch.cancel(false);
    super.close();
  }
}
