package dev.jneox.data;

import java.util.Arrays;

/**
 * Counts how often each token occurs: the model that every language model has to beat. To each
 * count one is added, so that no token is impossible.
 */
public final class UnigramCounts {
  private final double[] counts;
  private double total;

  /**
   * @param vocabulary ids there are
   */
  public UnigramCounts(int vocabulary) {
    counts = new double[vocabulary];
    Arrays.fill(counts, 1);
    total = vocabulary;
  }

  /**
   * Counts the labels of the first samples of a data set: every token of a sample but the first.
   */
  public UnigramCounts add(Dataset data, long samples) {
    for (long i = 0; i < Math.min(data.length(), samples); i++) {
      int[] ids = data.sample(i);
      for (int t = 1; t < ids.length; t++) {
        counts[ids[t]]++;
        total++;
      }
    }
    return this;
  }

  /** Counts {@code ids[from:]}. */
  public UnigramCounts add(int[] ids, int from) {
    for (int i = from; i < ids.length; i++) {
      counts[ids[i]]++;
      total++;
    }
    return this;
  }

  /**
   * Computes the loss on the counted tokens themselves, in nats per token: each by the counts of
   * all others, one added to each. So a short text gains nothing by being its own training data.
   * NaN where nothing was counted.
   */
  public double lossOnItself() {
    double sum = 0;
    for (double count : counts) {
      double own = count - 1;
      sum -= own == 0 ? 0 : own * Math.log(own / (total - 1));
    }
    return sum / (total - counts.length);
  }

  /**
   * Computes the loss of the frequencies on the labels of the first samples of a data set, in nats
   * per token; NaN when there are none.
   */
  public double loss(Dataset data, long samples) {
    double sum = 0;
    long tokens = 0;
    for (long i = 0; i < Math.min(data.length(), samples); i++) {
      int[] ids = data.sample(i);
      for (int t = 1; t < ids.length; t++) {
        sum -= Math.log(counts[ids[t]] / total);
        tokens++;
      }
    }
    return sum / tokens;
  }
}
