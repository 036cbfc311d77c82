package dev.jneox.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
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
        Set<Integer> shares = ConcurrentHashMap.newKeySet();
        workers.forEach(2, (from, to, thread) -> shares.add(thread));
        assertThat(shares).containsExactlyInAnyOrder(0, 1);
        Thread.sleep(2); // far longer than they spin
      }
    }
  }

  @Test
  void closingEndsTheThreads() throws InterruptedException {
    Set<Thread> threads = ConcurrentHashMap.newKeySet();
    try (Workers workers = new Workers(3)) {
      workers.forEach(3, (from, to, thread) -> threads.add(Thread.currentThread()));
    }
    threads.remove(Thread.currentThread());
    for (Thread thread : threads) {
      thread.join(5000);
      assertThat(thread.isAlive()).isFalse();
    }
    assertThat(threads).hasSize(2);
  }
}
