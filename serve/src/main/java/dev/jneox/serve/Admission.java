package dev.jneox.serve;

import java.util.ArrayDeque;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/**
 * Lets a bounded number of sequences into the engine at a time. Those that wait are let in client
 * by client, in turn, so that one with a thousand requests does not hold up one with a single
 * request; those of one client in their order.
 */
final class Admission {
  private final int most;
  private final int queue;
  private final Map<String, ArrayDeque<Waiter>> waiters = new LinkedHashMap<>(); // by client
  private int running;
  private int waiting;
  private boolean closed;

  private static final class Waiter {
    final CountDownLatch admitted = new CountDownLatch(1);
    boolean refused;
  }

  /** A place in the engine, given back when closed. */
  final class Place implements AutoCloseable {
    private boolean free;

    private Place() {}

    @Override
    public void close() {
      synchronized (Admission.this) {
        if (!free) {
          free = true;
          running--;
          admit();
        }
      }
    }
  }

  /**
   * @param most sequences in the engine at a time
   * @param queue sequences that may wait before a request of any client is refused
   */
  Admission(int most, int queue) {
    this.most = most;
    this.queue = queue;
  }

  /**
   * Refuses a request while too many wait. Called once a request, however many sequences it has.
   *
   * @throws ApiException with status 429
   */
  synchronized void check() {
    if (waiting >= queue && running >= most) {
      throw ApiException.overloaded(
          "%d sequences run and %d wait: try again later".formatted(running, waiting));
    }
  }

  /**
   * Waits for a place.
   *
   * @param client whose turn it takes
   * @param nanos longest wait
   * @throws ApiException with status 408 when there is none in time, 503 when the server stops
   * @throws InterruptedException when the request was cancelled
   */
  Place enter(String client, long nanos) throws InterruptedException {
    Waiter waiter = new Waiter();
    synchronized (this) {
      refuseIf(closed);
      if (running < most && waiting == 0) {
        running++;
        return new Place();
      }
      waiters.computeIfAbsent(client, _ -> new ArrayDeque<>()).add(waiter);
      waiting++;
    }
    try {
      if (!waiter.admitted.await(nanos, TimeUnit.NANOSECONDS) && withdraw(client, waiter)) {
        throw ApiException.timedOut("the request waited for too long for its turn");
      }
    } catch (InterruptedException e) {
      if (!withdraw(client, waiter) && !waiter.refused) {
        new Place().close(); // it was admitted at that moment
      }
      throw e;
    }
    refuseIf(waiter.refused);
    return new Place();
  }

  private static void refuseIf(boolean closed) {
    if (closed) {
      throw ApiException.unavailable("the server is shutting down");
    }
  }

  /** Takes a waiter out; false when it was admitted meanwhile. */
  private synchronized boolean withdraw(String client, Waiter waiter) {
    ArrayDeque<Waiter> own = waiters.get(client);
    if (own == null || !own.remove(waiter)) {
      return false;
    }
    waiting--;
    if (own.isEmpty()) {
      waiters.remove(client);
    }
    return true;
  }

  /** Gives free places to those that wait. */
  private void admit() {
    while (running < most && waiting > 0) {
      Map.Entry<String, ArrayDeque<Waiter>> first = waiters.entrySet().iterator().next();
      Waiter waiter = first.getValue().remove();
      waiting--;
      waiters.remove(first.getKey());
      if (!first.getValue().isEmpty()) {
        waiters.put(first.getKey(), first.getValue()); // behind the other clients
      }
      running++;
      waiter.admitted.countDown();
    }
  }

  /** Refuses those that wait and those that come; what runs goes on. */
  synchronized void close() {
    closed = true;
    waiters
        .values()
        .forEach(
            own ->
                own.forEach(
                    waiter -> {
                      waiter.refused = true;
                      waiter.admitted.countDown();
                    }));
    waiters.clear();
    waiting = 0;
  }

  synchronized int running() {
    return running;
  }

  synchronized int waiting() {
    return waiting;
  }
}
