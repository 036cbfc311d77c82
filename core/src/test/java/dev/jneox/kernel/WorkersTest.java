package dev.jneox.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Set;
import java.util.concurrent.BrokenBarrierException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicIntegerArray;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.api.Test;

class WorkersTest {
  @Property(tries = 60)
  void everyTaskAndEveryRowIsDoneOnce(
      @ForAll @IntRange(min = 1, max = 5) int threads,
      @ForAll @IntRange(max = 300) int size,
      @ForAll @IntRange(max = 20) int regions) {
    try (Workers workers = new Workers(threads)) {
      AtomicIntegerArray rows = new AtomicIntegerArray(size);
      AtomicIntegerArray tasks = new AtomicIntegerArray(size);
      for (int i = 0; i < regions; i++) {
        workers.claim(size, (task, thread) -> tasks.incrementAndGet(task));
        workers.forEach(
            size,
            (from, to, thread) -> {
              for (int row = from; row < to; row++) {
                rows.incrementAndGet(row);
              }
            });
      }
      for (int i = 0; i < size; i++) {
        assertThat(tasks.get(i)).isEqualTo(regions);
        assertThat(rows.get(i)).isEqualTo(regions);
      }
    }
  }

  @Test
  void aFailureReachesTheCallerAndTheWorkersGoOn() {
    try (Workers workers = new Workers(3)) {
      for (int failing = 0; failing < 8; failing++) {
        int bad = failing;
        assertThatThrownBy(
                () ->
                    workers.claim(
                        8,
                        (task, thread) -> {
                          if (task == bad) {
                            throw new IllegalStateException("task " + task);
                          }
                        }))
            .hasMessage("task " + bad);
        assertThatThrownBy(
                () ->
                    workers.forEach(
                        3,
                        (from, to, thread) -> {
                          if (from == bad % 3) {
                            throw new IllegalStateException("row " + from);
                          }
                        }))
            .hasMessage("row " + bad % 3);
      }
      Set<Integer> done = ConcurrentHashMap.newKeySet();
      workers.claim(50, (task, thread) -> done.add(task));
      assertThat(done).hasSize(50);
    }
  }

  @Test
  void workersThatParkedAreWokenAgain() throws InterruptedException {
    try (Workers workers = new Workers(2)) {
      for (int i = 0; i < 20; i++) {
        Set<Thread> threads = ConcurrentHashMap.newKeySet();
        CyclicBarrier all = new CyclicBarrier(2);
        workers.forEach(2, (from, to, thread) -> meet(all, threads));
        assertThat(threads).hasSize(2);
        Thread.sleep(2); // far longer than they spin
      }
    }
  }

  @Property(tries = 20)
  void anActionBesideIsRunOnceAndSoon(
      @ForAll @IntRange(min = 1, max = 4) int threads, @ForAll boolean parked)
      throws InterruptedException {
    try (Workers workers = new Workers(threads)) {
      for (int i = 0; i < 20; i++) {
        if (parked) {
          Thread.sleep(1); // far longer than they spin
        }
        CountDownLatch done = new CountDownLatch(1);
        AtomicInteger runs = new AtomicInteger();
        workers.beside(
            () -> {
              runs.incrementAndGet();
              done.countDown();
            });
        AtomicInteger tasks = new AtomicInteger();
        workers.claim(10, (task, thread) -> tasks.incrementAndGet());
        assertThat(tasks).hasValue(10);
        assertThat(done.await(10, TimeUnit.SECONDS)).isTrue();
        assertThat(runs).hasValue(1);
      }
    }
  }

  @Test
  void closingEndsTheThreads() throws InterruptedException {
    Set<Thread> threads = ConcurrentHashMap.newKeySet();
    try (Workers workers = new Workers(3)) {
      CyclicBarrier all = new CyclicBarrier(3);
      workers.forEach(3, (from, to, thread) -> meet(all, threads));
    }
    threads.remove(Thread.currentThread());
    for (Thread thread : threads) {
      thread.join(5000);
      assertThat(thread.isAlive()).isFalse();
    }
    assertThat(threads).hasSize(2);
  }

  /** Waits until every thread is here, so that none can do the share of another. */
  private static void meet(CyclicBarrier all, Set<Thread> threads) {
    threads.add(Thread.currentThread());
    try {
      all.await(30, TimeUnit.SECONDS);
    } catch (InterruptedException | BrokenBarrierException | TimeoutException e) {
      throw new IllegalStateException(e);
    }
  }
}
