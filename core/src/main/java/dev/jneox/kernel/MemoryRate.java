package dev.jneox.kernel;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/** Measures how fast this machine reads memory, the ceiling of writing tokens one by one. */
public final class MemoryRate {
  private static final int READS = 5;

  /** {@link #sum} reads multiples of so many bytes. */
  public static final int READ_BLOCK = 1 << 16;

  /** Far more than any last-level cache keeps, so that what is measured is memory. */
  private static final long READ_BYTES = 1L << 29;

  private MemoryRate() {}

  /**
   * Measures the bytes/s that threads read from memory together: a number for each number of
   * threads. Takes half a gigabyte and about a second.
   */
  public static double[] measure(int... threads) {
    try (Arena arena = Arena.ofShared()) {
      MemorySegment memory = arena.allocate(READ_BYTES, 64);
      // Untouched pages all map to one page of zeros, which would be read from the cache.
      memory.fill((byte) 1);
      return Arrays.stream(threads).mapToDouble(n -> readRate(memory, n)).toArray();
    }
  }

  /**
   * Bytes/s at which {@code threads} threads read {@code memory} together, each its own share: the
   * median of some rounds. Memory has to be far larger than the caches and written once, for the
   * figure to be that of memory.
   */
  public static double readRate(MemorySegment memory, int threads) {
    long share = memory.byteSize() / threads / READ_BLOCK * READ_BLOCK;
    List<Callable<Long>> readers = new ArrayList<>();
    for (int t = 0; t < threads; t++) {
      MemorySegment part = memory.asSlice(t * share, share);
      readers.add(() -> sum(part));
    }
    double[] seconds = new double[READS];
    long sum = 0;
    try (ExecutorService pool = Executors.newFixedThreadPool(threads)) {
      for (int round = -1; round < READS; round++) { // the round before the first compiles the loop
        long start = System.nanoTime();
        for (Future<Long> read : pool.invokeAll(readers)) {
          sum += read.get();
        }
        if (round >= 0) {
          seconds[round] = (System.nanoTime() - start) / 1e9;
        }
      }
    } catch (InterruptedException | ExecutionException e) {
      throw new IllegalStateException("reading memory failed", e);
    }
    if (sum == 0) { // keeps the compiler from dropping the reads
      throw new IllegalStateException("memory was not filled");
    }
    return share * threads / median(seconds, READS);
  }

  /**
   * The sum of the longs in {@code memory}, whose size is a multiple of {@link #READ_BLOCK}: reads
   * and does little else.
   */
  public static long sum(MemorySegment memory) {
    long sum = 0;
    for (long at = 0; at < memory.byteSize(); at += READ_BLOCK) {
      // A method called often: compiled better than one long loop.
      sum += Kernels.chosen().sumOfLongs(memory.asSlice(at, READ_BLOCK));
    }
    return sum;
  }

  private static double median(double[] values, int count) {
    double[] sorted = Arrays.copyOf(values, count);
    Arrays.sort(sorted);
    return (sorted[(count - 1) / 2] + sorted[count / 2]) / 2;
  }
}
