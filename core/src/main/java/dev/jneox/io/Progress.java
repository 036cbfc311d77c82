package dev.jneox.io;

import java.util.concurrent.atomic.LongAdder;

/**
 * Counts how far a long operation has come, in units of its own: bytes, tokens, samples. It shows
 * nothing: who calls the operation passes a subclass that does, or {@link #silent}. All methods are
 * safe for several threads, and {@link #step} costs one addition.
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

  /** An operation of {@code total} units; below zero where the total is unknown. */
  protected Progress(long total) {
    this.total = total;
  }

  /** Counts and shows nothing. */
  public static Progress silent() {
    return new Progress(-1);
  }

  /** Adds {@code n} units to what is done. */
  public void step(long n) {
    done.add(n);
  }

  /** Adds {@code more} units to the total, as when one operation leads to another. */
  public synchronized void expect(long more) {
    total(Math.max(0, total) + more);
  }

  /** Corrects the total, as when it becomes known on the way. */
  public synchronized void total(long total) {
    this.total = total;
  }

  /** Units of the whole operation; below zero where unknown. */
  public long total() {
    return total;
  }

  /** Sets a few words that belong to the numbers from now on, for example {@code loss 3.21}. */
  public void note(String note) {}

  /** Units done so far. */
  public long done() {
    return done.sum();
  }

  /** Seconds since the start. */
  public double seconds() {
    return (System.nanoTime() - start) / 1e9;
  }

  /** Ends the operation. */
  @Override
  public void close() {}
}
