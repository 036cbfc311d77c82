package dev.jneox.train;

import dev.jneox.tensor.Native;
import java.util.concurrent.locks.LockSupport;

/**
 * Splits loops over rows among a fixed set of threads. Each thread always gets the same contiguous share, so that sums which are
 * kept a thread and added in thread order come out the same bits every time. Idle workers spin briefly and then park: libtorch's
 * own threads need the cores between two of our loops.
 */
final class Workers {
  /** One share of a loop: rows {@code from} (inclusive) to {@code to} (exclusive), run by thread {@code thread}. */
  @FunctionalInterface
  interface Share {
    void run(int from, int to, int thread);
  }

  /** The process's workers, one a compute thread. */
  static final Workers ALL = new Workers(Native.threads());

  private static final int SPINS = 2_000;

  private final int count;
  private final Worker[] workers; // one fewer than count: the caller works too

  private Workers(int count) {
    this.count = count;
    this.workers = new Worker[count - 1];
    for (int i = 0; i < workers.length; i++) {
      workers[i] = new Worker(i + 1);
      Thread.ofPlatform().daemon().name("jneox-worker-" + (i + 1)).start(workers[i]);
    }
  }

  int count() {
    return count;
  }

  /** Runs {@code share} over {@code rows} rows and returns when all are done; the first failure is thrown. */
  synchronized void forEach(int rows, Share share) {
    for (Worker worker : workers) {
      worker.start(rows, share);
    }
    Throwable failure = null;
    try {
      share.run(0, bound(rows, 1), 0);
    } catch (Throwable t) {
      failure = t;
    }
    for (Worker worker : workers) {
      Throwable t = worker.await();
      failure = failure == null ? t : failure;
    }
    if (failure instanceof RuntimeException e) {
      throw e;
    }
    if (failure instanceof Error e) {
      throw e;
    }
  }

  private int bound(int rows, int share) {
    return (int) ((long) rows * share / count);
  }

  private final class Worker implements Runnable {
    private final int index;
    private volatile Thread thread;
    private volatile long asked;
    private volatile long done;
    private Share share; // these three are published by the write to asked, and read back by the one to done
    private int rows;
    private Throwable failure;

    Worker(int index) {
      this.index = index;
    }

    void start(int rows, Share share) {
      this.rows = rows;
      this.share = share;
      asked = asked + 1;
      LockSupport.unpark(thread);
    }

    Throwable await() {
      while (done != asked) {
        Thread.onSpinWait();
      }
      share = null;
      return failure;
    }

    @Override
    public void run() {
      thread = Thread.currentThread();
      while (true) {
        for (int spin = 0; asked == done; spin++) {
          if (spin < SPINS) {
            Thread.onSpinWait();
          } else {
            LockSupport.park(this);
          }
        }
        failure = null;
        try {
          share.run(bound(rows, index), bound(rows, index + 1), index);
        } catch (Throwable t) {
          failure = t;
        }
        done = asked;
      }
    }
  }
}
