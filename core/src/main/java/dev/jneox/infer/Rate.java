package dev.jneox.infer;

/**
 * Measures events per second over the last whole second or more. One thread counts, any may read.
 */
final class Rate {
  private static final double WINDOW = 1e9;

  private long start = System.nanoTime();
  private long count;
  private long before; // the start of the window before
  private long countBefore;

  synchronized void count() {
    roll();
    count++;
  }

  synchronized double perSecond() {
    roll();
    long now = System.nanoTime();
    long from = before == 0 ? start : before;
    return now == from ? 0 : (count + countBefore) * 1e9 / (now - from);
  }

  private void roll() {
    long now = System.nanoTime();
    if (now - start >= 2 * WINDOW) { // nothing happened for long
      before = 0;
      countBefore = 0;
      start = now;
      count = 0;
    } else if (now - start >= WINDOW) {
      before = start;
      countBefore = count;
      start = now;
      count = 0;
    }
  }
}
