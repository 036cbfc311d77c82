package dev.jneox.data;

import dev.jneox.io.InputException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Objects;

/**
 * Lays the samples of a data set out in the steps of a training run. A step reads {@code
 * accumulation} micro-batches of {@code micro} samples, which follow each other in the data set; an
 * incomplete micro-batch at its end is left out, and the next one is the first again.
 *
 * <p>Steps count from 0: the step whose metrics say iteration 1 is step 0. The rows of a step are
 * its samples in the order in which they are read, 0 to {@code accumulation * micro - 1}. Where
 * {@code d} processes share a step, {@code accumulation} counts the micro-batches of them all:
 * process {@code r} reads those whose number is {@code r} modulo {@code d}.
 *
 * @param data samples, at least one micro-batch
 * @param micro samples of a micro-batch
 * @param accumulation micro-batches of a step
 */
public record BatchOrder(Dataset data, int micro, int accumulation) {
  /**
   * A place in a run.
   *
   * @param step from 0
   * @param row sample of the step, from 0
   * @param position token of the sample, 0 to {@code seqLength}; the last is read as a label only,
   *     the first as an input only
   */
  public record Read(long step, int row, int position) implements Comparable<Read> {
    @Override
    public int compareTo(Read other) {
      int order = Long.compare(step, other.step);
      order = order == 0 ? Integer.compare(row, other.row) : order;
      return order == 0 ? Integer.compare(position, other.position) : order;
    }
  }

  /** Checks that there is at least one micro-batch. */
  public BatchOrder {
    if (micro < 1 || accumulation < 1 || data.length() < micro) {
      throw new InputException(
          "micro-batch of "
              + micro
              + ", "
              + accumulation
              + " micro-batches a step, "
              + data.length()
              + " samples: expected at least 1, at least 1, and a whole micro-batch");
    }
  }

  /**
   * Returns the index of the {@code m}-th micro-batch of a step among the micro-batches of the run.
   */
  public long batch(long step, int m) {
    return step * accumulation + m;
  }

  /** Returns the sample in row {@code row} of micro-batch {@code batch}. */
  public long sample(long batch, int row) {
    return batch % batches() * micro + row;
  }

  /** Returns the whole micro-batches in one pass. */
  private long batches() {
    return data.length() / micro;
  }

  /** Says where the tokens of a row come from, as {@link Dataset#spans} does. */
  public List<Span> spans(long step, int row) {
    Objects.checkIndex(row, accumulation * micro);
    return data.spans(sample(batch(step, row / micro), row % micro));
  }

  /** Names the stored token that a run reads at a place. */
  public Origin origin(Read read) {
    Objects.checkIndex(read.position, data.seqLength() + 1);
    return spans(read.step, read.row).stream()
        .filter(span -> span.covers(read.position))
        .findFirst()
        .orElseThrow()
        .origin(read.position);
  }

  /**
   * Lists the places where a run reads a stored token, in ascending order.
   *
   * @param steps only the steps below this number count
   * @throws IndexOutOfBoundsException if there is no such token
   */
  public List<Read> reads(Origin origin, long steps) {
    long end = batch(steps, 0);
    List<Read> reads = new ArrayList<>();
    for (Dataset.Read read : data.reads(origin, batches() * micro)) {
      int row = (int) (read.sample() % micro);
      for (long batch = read.sample() / micro; batch < end; batch += batches()) {
        int m = (int) (batch % accumulation);
        reads.add(new Read(batch / accumulation, m * micro + row, read.position()));
      }
    }
    Collections.sort(reads);
    return reads;
  }
}
