package dev.jneox.template;

import java.util.AbstractList;

/** Is Python's range. */
final class Range extends AbstractList<Object> {
  /** The most numbers of a range, as in jinja2's sandbox. */
  private static final long LONGEST = 100_000;

  final long start;
  final long stop;
  final long step;
  private final int size;

  Range(long start, long stop, long step) {
    this.start = start;
    this.stop = stop;
    this.step = step;
    if (step == 0) {
      throw TemplateFault.expected("a step of range other than 0", "0");
    }
    double span = ((double) stop - start) / step;
    if (span > LONGEST) {
      throw TemplateFault.expected("a range of at most " + LONGEST + " numbers", "more");
    }
    long count = step > 0 ? Math.ceilDiv(stop - start, step) : Math.ceilDiv(start - stop, -step);
    this.size = span <= 0 ? 0 : (int) count;
  }

  @Override
  public Object get(int index) {
    return start + index * step;
  }

  @Override
  public int size() {
    return size;
  }

  @Override
  public String toString() {
    return "range(" + start + ", " + stop + (step == 1 ? ")" : ", " + step + ")");
  }
}
