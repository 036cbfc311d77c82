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
 * Wraps the body of a response and ends it with an {@link IOException} when it brings too few bytes
 * for too long, where a plain read would block forever.
 */
final class StallGuardedStream extends FilterInputStream {
  private static final ScheduledExecutorService WATCH =
      Executors.newSingleThreadScheduledExecutor(
          Thread.ofPlatform().daemon().name("hub-watch").factory());

  private final AtomicLong count = new AtomicLong();
  private final Future<?> watch;
  private final RetryPolicy retries;
  private volatile boolean stalled;
  private long seen;

  StallGuardedStream(InputStream in, RetryPolicy retries) {
    super(in);
    this.retries = retries;
    long every = retries.stall().toNanos();
    this.watch = WATCH.scheduleAtFixedRate(this::look, every, every, TimeUnit.NANOSECONDS);
  }

  private void look() {
    long now = count.get();
    if (now - seen < retries.stallBytes()) {
      stalled = true;
      try {
        close();
      } catch (IOException e) {
        // The reader gets the error.
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
            retries.stallBytes() + " bytes within " + retries.stall().toMillis() / 1e3 + " s";
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
