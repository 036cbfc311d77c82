package dev.jneox.kernel;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLongArray;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * A fixed set of threads, the caller among them, that share out the tasks of one parallel region
 * after another. A region starts and ends within a few microseconds: idle workers spin briefly
 * before they park, and then use no processor, so that libtorch's own threads have the cores
 * between two regions. One region runs at a time; a second caller waits.
 */
public final class Workers implements AutoCloseable {
  /**
   * One share of a loop: rows {@code from} (inclusive) to {@code to} (exclusive), run by thread
   * {@code thread}.
   */
  @FunctionalInterface
  public interface Share {
    /** Does the rows, or tasks, of one share. */
    void run(int from, int to, int thread);
  }

  /** One of many tasks, run by thread {@code thread}, from 0 to {@link #count} - 1. */
  @FunctionalInterface
  public interface Task {
    /** Does one task. */
    void run(int task, int thread);
  }

  /** The process's workers, one a compute thread; started when first asked for. */
  public static Workers all() {
    return All.WORKERS;
  }

  private static final class All {
    static final Workers WORKERS = new Workers(Cpu.threads());
  }

  /**
   * About 50 microseconds: longer than from one region of a forward pass to the next, shorter than
   * a wait for anything else.
   */
  private static final int SPINS = 2_000;

  /** From the tasks of one thread to those of the next: a cache line or two. */
  private static final int APART = 16;

  private static final long NONE = -1;

  private final int count;
  private final Worker[] workers; // one fewer than count: the caller works too

  /** The tasks that each thread has left: see {@link #pair}. */
  private final AtomicLongArray ranges;

  /** What {@link #beside} has not begun. */
  private final AtomicReference<Runnable> beside = new AtomicReference<>();

  private int size; // these four describe the region; published by the write of Worker.ASKED
  private @Nullable Share share;
  private @Nullable Task task;
  private boolean claimed;
  private volatile boolean closed;

  /** Starts {@code count - 1} daemon threads. */
  public Workers(int count) {
    this.count = count;
    this.workers = new Worker[count - 1];
    this.ranges = new AtomicLongArray(count * APART);
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
   * Runs {@code share} over {@code rows} rows and returns when all are done; the first failure is
   * thrown. Each thread always gets the same contiguous share, so that sums which are kept a thread
   * and added in thread order come out the same bits every time.
   */
  public synchronized void forEach(int rows, Share share) {
    this.size = rows;
    this.share = share;
    this.claimed = false;
    run(count);
  }

  /**
   * Runs tasks 0 to {@code tasks - 1} and returns when all are done; the first failure is thrown.
   * For tasks whose results do not depend on the thread: all threads end together even where one is
   * held up.
   */
  public synchronized void claim(int tasks, Task task) {
    this.task = task;
    this.share = null;
    this.claimed = true;
    claim(tasks);
  }

  /**
   * The same for tasks that read memory: each thread runs long shares of consecutive ones, half of
   * what it has left at a time, and when it has none half of what another has left.
   */
  public synchronized void claim(int tasks, Share share) {
    this.task = null;
    this.share = share;
    this.claimed = true;
    claim(tasks);
  }

  private void claim(int tasks) {
    size = tasks;
    int threads = Math.min(count, tasks);
    for (int t = 0; t < threads; t++) {
      ranges.set(t * APART, pair(bound(t, threads), bound(t + 1, threads)));
    }
    run(threads);
  }

  private void run(int threads) {
    for (int i = 0; i < threads - 1; i++) {
      workers[i].start();
    }
    Throwable failure = failure(0);
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

  /** Does the work of a thread; returns what it threw, or null. */
  private @Nullable Throwable failure(int thread) {
    try {
      work(thread);
      return null;
    } catch (Throwable t) {
      return t;
    }
  }

  private void work(int thread) {
    Share share = this.share;
    Task task = this.task;
    if (share != null && !claimed) {
      share.run(bound(thread, count), bound(thread + 1, count), thread);
      return;
    }
    int threads = Math.min(count, size);
    for (int i = 0; i < threads; i++) {
      for (long t = take((thread + i) % threads, i == 0);
          t != NONE;
          t = take((thread + i) % threads, i == 0)) {
        if (share != null) {
          share.run(from(t), to(t), thread);
        } else if (task != null) {
          task.run(from(t), thread);
        }
      }
    }
  }

  /** Takes the next of the tasks that a thread has left, or of those that come last. */
  private long take(int thread, boolean first) {
    while (true) {
      long left = ranges.get(thread * APART);
      int from = from(left);
      int to = to(left);
      if (from == to) {
        return NONE;
      }
      int n = share == null ? 1 : (to - from + 1) / 2;
      if (ranges.compareAndSet(
          thread * APART, left, first ? pair(from + n, to) : pair(from, to - n))) {
        return first ? pair(from, from + n) : pair(to - n, to);
      }
    }
  }

  private static long pair(int from, int to) {
    return (long) from << 32 | to;
  }

  private static int from(long pair) {
    return (int) (pair >>> 32);
  }

  private static int to(long pair) {
    return (int) pair;
  }

  private int bound(int share, int shares) {
    return (int) ((long) size * share / shares);
  }

  /**
   * Has a short action run on a worker that has nothing to do; here where none is awake. It runs at
   * once, beside what the caller does next, and is no part of a region. Actions must not throw.
   */
  public void beside(Runnable action) {
    Runnable before = beside.getAndSet(action);
    if (before != null) {
      before.run(); // no worker has come to it
    }
    for (Worker worker : workers) {
      if (!worker.parked) {
        return;
      }
    }
    runBeside();
  }

  private void runBeside() {
    Runnable action = beside.get();
    if (action != null && beside.compareAndSet(action, null)) {
      action.run();
    }
  }

  /** Ends the threads; no region may follow. */
  @Override
  public void close() {
    closed = true;
    for (Worker worker : workers) {
      LockSupport.unpark(worker.thread);
    }
    runBeside();
  }

  /** One thread and what it is to do: it alone makes {@link #RUNNING} of {@link #ASKED}. */
  private final class Worker implements Runnable {
    private static final int IDLE = 0;
    private static final int ASKED = 1;
    private static final int RUNNING = 2;

    private final int index;
    private final AtomicInteger state = new AtomicInteger(IDLE);
    private volatile @Nullable Thread thread;
    private volatile boolean parked;
    private @Nullable Throwable failure; // read back after the write of IDLE

    Worker(int index) {
      this.index = index;
    }

    void start() {
      state.set(ASKED);
      if (parked) {
        parked = false;
        LockSupport.unpark(thread);
      }
    }

    /**
     * Waits for the end of its share; runs the share here if the thread has not begun, because it
     * was parked or has no core.
     */
    @Nullable Throwable await() {
      if (state.compareAndSet(ASKED, IDLE)) {
        return claimed ? null : failure(index); // all that can be claimed has been
      }
      for (int spin = 1; state.get() != IDLE; spin++) {
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
        waitForWork();
        if (state.compareAndSet(ASKED, RUNNING)) {
          failure = Workers.this.failure(index);
          state.set(IDLE);
        }
      }
    }

    private void waitForWork() {
      for (int spin = 0; spin < SPINS; spin++) {
        if (state.get() == ASKED) {
          return;
        }
        runBeside();
        Thread.onSpinWait();
      }
      parked = true; // before the last look: whoever asks after it sees this and wakes us
      runBeside();
      if (state.get() != ASKED && !closed) {
        LockSupport.park(this);
      }
      parked = false;
    }
  }
}
