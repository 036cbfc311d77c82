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
