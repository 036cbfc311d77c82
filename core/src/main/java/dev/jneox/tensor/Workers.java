package dev.jneox.tensor;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;

/**
 * A fixed set of threads, the caller among them, that share out the tasks of one parallel region after another. A region starts
 * and ends within a few microseconds: idle workers spin briefly before they park, and then use no processor, so that libtorch's
 * own threads have the cores between two regions. One region runs at a time; a second caller waits.
 */
public final class Workers implements AutoCloseable {
  /** One share of a loop: rows {@code from} (inclusive) to {@code to} (exclusive), run by thread {@code thread}. */
  @FunctionalInterface
  public interface Share {
    void run(int from, int to, int thread);
  }

  /** One of many tasks, run by thread {@code thread}, from 0 to {@link #count} - 1. */
  @FunctionalInterface
  public interface Task {
    void run(int task, int thread);
  }

  /** The process's workers, one a compute thread; started when first asked for. */
  public static Workers all() {
    return All.WORKERS;
  }

  private static final class All {
    static final Workers WORKERS = new Workers(Native.threads());
  }

  /** About 50 microseconds: longer than from one region of a forward pass to the next, shorter than a wait for anything else. */
  private static final int SPINS = 2_000;

  private final int count;
  private final Worker[] workers; // one fewer than count: the caller works too
  private final AtomicInteger next = new AtomicInteger();
  private int size; // these three describe the region; published by the write to Worker.asked
  private Share share;
  private Task task;
  private volatile boolean closed;

  /** Starts {@code count - 1} daemon threads. */
  public Workers(int count) {
    this.count = count;
    this.workers = new Worker[count - 1];
    for (int i = 0; i < workers.length; i++) {
      workers[i] = new Worker(i + 1);
      Thread.ofPlatform().daemon().name("jneox-worker-" + (i + 1)).start(workers[i]);
    }
  }

  /** Threads that work on a region, the caller included. */
  public int count() {
    return count;
  }

  /**
   * Runs {@code share} over {@code rows} rows and returns when all are done; the first failure is thrown. Each thread always gets
   * the same contiguous share, so that sums which are kept a thread and added in thread order come out the same bits every time.
   */
  public synchronized void forEach(int rows, Share share) {
    this.size = rows;
    this.share = share;
    this.task = null;
    run(count);
  }

  /**
   * Runs tasks 0 to {@code tasks - 1}, begun in that order by whichever thread is free, and returns when all are done; the first
   * failure is thrown. For tasks whose results do not depend on the thread: all threads end together even where one is held up.
   */
  public synchronized void claim(int tasks, Task task) {
    this.size = tasks;
    this.share = null;
    this.task = task;
    next.set(0);
    run(Math.min(count, tasks));
  }

  private void run(int threads) {
    for (int i = 0; i < threads - 1; i++) {
      workers[i].start();
    }
    Throwable failure = null;
    try {
      work(0);
    } catch (Throwable t) {
      failure = t;
    }
    for (int i = 0; i < threads - 1; i++) {
      Throwable t = workers[i].await();
      failure = failure == null ? t : failure;
    }
    share = null;
    task = null;
    if (failure instanceof RuntimeException e) {
      throw e;
    }
    if (failure instanceof Error e) {
      throw e;
    }
  }

  private void work(int thread) {
    if (share != null) {
      share.run(bound(size, thread), bound(size, thread + 1), thread);
      return;
    }
    for (int t = next.getAndIncrement(); t < size; t = next.getAndIncrement()) {
      task.run(t, thread);
    }
  }

  private int bound(int rows, int share) {
    return (int) ((long) rows * share / count);
  }

  /** Ends the threads; no region may follow. */
  @Override
  public void close() {
    closed = true;
    for (Worker worker : workers) {
      LockSupport.unpark(worker.thread);
    }
  }

  private final class Worker implements Runnable {
    private final int index;
    private volatile Thread thread;
    private volatile boolean parked;
    private volatile long asked;
    private volatile long done;
    private Throwable failure; // read back after the write to done

    Worker(int index) {
      this.index = index;
    }

    void start() {
      asked = asked + 1;
      if (parked) {
        LockSupport.unpark(thread);
      }
    }

    Throwable await() {
      for (int spin = 1; done != asked; spin++) {
        if (spin % SPINS == 0) {
          Thread.yield(); // the worker may be waiting for this very core
        } else {
          Thread.onSpinWait();
        }
      }
      return failure;
    }

    @Override
    public void run() {
      thread = Thread.currentThread();
      while (!closed) {
        if (!waitForWork()) {
          continue;
        }
        failure = null;
        try {
          work(index);
        } catch (Throwable t) {
          failure = t;
        }
        done = asked;
      }
    }

    private boolean waitForWork() {
      for (int spin = 0; spin < SPINS; spin++) {
        if (asked != done) {
          return true;
        }
        Thread.onSpinWait();
      }
      parked = true; // before the last look: whoever asks after it sees this and wakes us
      if (asked == done && !closed) {
        LockSupport.park(this);
      }
      parked = false;
      return asked != done;
    }
  }
}
