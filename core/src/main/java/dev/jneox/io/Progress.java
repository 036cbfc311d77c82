package dev.jneox.io;

import java.util.concurrent.atomic.LongAdder;

/**
 * Counts the progress of a long operation in units of its own: bytes, tokens or samples. It
 * displays nothing. A caller that wants a display passes a subclass; other callers pass {@link
 * #silent}. All methods are thread-safe, and {@link #step} costs one addition.
 */
public class Progress implements AutoCloseable {
  /** Makes the progress of operations, as a caller that shows them wants it shown. */
  @FunctionalInterface
  public interface Display {
    /** Shows nothing. */
    Display SILENT = (task, bytes) -> silent();

    /**
     * Begins an operation.
     *
     * @param task what is done, in a word or two
     * @param bytes of the whole; below zero where unknown
     */
    Progress begin(String task, long bytes);
  }

  private final long start = System.nanoTime();
  private final LongAdder done = new LongAdder();
  private volatile long total;

  /** Starts an operation of {@code total} units; negative where the total is unknown. */
  protected Progress(long total) {
    this.total = total;
  }

  /** Returns a counter that displays nothing. */
  public static Progress silent() {
    return new Progress(-1);
  }

  /** Adds {@code n} finished units. */
  public void step(long n) {
    done.add(n);
  }

  /** Adds {@code more} units to the total, for an operation that starts another. */
  public synchronized void expect(long more) {
    total(Math.max(0, total) + more);
  }

  /** Sets the total, once it is known. */
  public synchronized void total(long total) {
    this.total = total;
  }

  /** Returns the units of the whole operation; negative where unknown. */
  public long total() {
    return total;
  }

  /** Sets a short text to display beside the numbers from now on, for example {@code loss 3.21}. */
  public void note(String note) {}

  /** Returns the units finished so far. */
  public long done() {
    return done.sum();
  }

  /** Returns the seconds since the start. */
  public double seconds() {
    return (System.nanoTime() - start) / 1e9;
  }

  /** Ends the operation. */
  @Override
  public void close() {}
}
