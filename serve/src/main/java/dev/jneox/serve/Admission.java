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
  private int counted; // sequences of the requests that are at work
  private boolean closed;

  private static final class Waiter {
    final CountDownLatch admitted = new CountDownLatch(1);
    boolean refused;
    boolean left; // cancelled
  }

  /** The sequences of a request, counted until it is closed. */
  final class Reservation implements AutoCloseable {
    private final int sequences;

    private Reservation(int sequences) {
      this.sequences = sequences;
    }

    @Override
    public void close() {
      synchronized (Admission.this) {
        counted -= sequences;
      }
    }
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

  /** Returns how many sequences run at a time, of all requests. */
  int places() {
    return most;
  }

  /**
   * Counts the sequences of a request, unless there are too many.
   *
   * @param sequences that the request has running or waiting at a time
   * @throws ApiException with status 429
   */
  synchronized Reservation reserve(int sequences) {
    if (counted + sequences > (long) most + queue) {
      throw ApiException.overloaded(
          "the queue is full: %d sequences run and %d wait, of at most %d and %d"
              .formatted(running, waiting, most, queue),
          1);
    }
    counted += sequences;
    return new Reservation(sequences);
  }

  /**
   * Waits for a place.
   *
   * @param call whose turn it takes, and whose time
   * @param cancellation ends the wait
   * @throws ApiException with status 408 when there is none in time, 503 when the server stops, 499
   *     when the wait was cancelled
   * @throws InterruptedException when the request was cancelled
   */
  Place enter(Call call, Cancellation cancellation) throws InterruptedException {
    Waiter waiter = new Waiter();
    String client = call.client();
    synchronized (this) {
      refuseIf(closed);
      if (running < most && waiting == 0) {
        running++;
        return new Place();
      }
      waiters.computeIfAbsent(client, _ -> new ArrayDeque<>()).add(waiter);
      waiting++;
    }
    try (Cancellation.Registration _ = cancellation.onCancel(() -> leave(client, waiter))) {
      if (!waiter.admitted.await(call.nanosLeft(), TimeUnit.NANOSECONDS)
          && withdraw(client, waiter)) {
        throw ApiException.timedOut("the request waited for too long for its turn");
      }
    } catch (InterruptedException e) {
      if (!withdraw(client, waiter) && !waiter.refused) {
        new Place().close(); // it was admitted at that moment
      }
      throw e;
    }
    refuseIf(waiter.refused);
    if (waiter.left) {
      throw ApiException.abandoned();
    }
    return new Place();
  }

  private void leave(String client, Waiter waiter) {
    if (withdraw(client, waiter)) {
      waiter.left = true;
      waiter.admitted.countDown();
    }
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
