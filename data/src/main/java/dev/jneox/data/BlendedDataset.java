package dev.jneox.data;

import dev.jneox.io.InputException;
import dev.jneox.io.Progress;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Mixes data sets by weight as GPT-NeoX does. Each next sample comes from the part that is furthest
 * behind its share; of several such parts, from the first.
 */
public final class BlendedDataset implements Dataset {
  private static final int REPORT = 1 << 20;

  private final List<? extends Dataset> parts;
  private final Npy datasetIndex;
  private final Npy sampleIndex;
  private @Nullable Inverse inverse; // null until the first call of reads

  /**
   * Maps the samples of the parts to those of the blend.
   *
   * @param starts where in {@code samples} each part begins, and where the last one ends
   * @param samples u4 or i8 [length]: the samples of the blend, those of the first part first
   */
  private record Inverse(long[] starts, Npy samples) {
    /** Counts the samples of each part and sorts them by part. */
    static Inverse of(Npy datasetIndex, Npy sampleIndex, int parts) {
      long[] starts = new long[parts + 1];
      long n = datasetIndex.size();
      for (long k = 0; k < n; k++) {
        starts[(int) datasetIndex.get(k) + 1]++;
      }
      Arrays.parallelPrefix(starts, Long::sum);
      ElementType type = n <= 0xFFFF_FFFFL ? ElementType.U32 : ElementType.I64;
      Npy samples = Npy.allocate(Arena.ofAuto(), type, n);
      for (long k = 0; k < n; k++) {
        // The samples of a part are numbered in the order in which they come.
        samples.set(starts[(int) datasetIndex.get(k)] + sampleIndex.get(k), k);
      }
      return new Inverse(starts, samples);
    }
  }

  private BlendedDataset(List<? extends Dataset> parts, Npy datasetIndex, Npy sampleIndex) {
    this.parts = parts;
    this.datasetIndex = datasetIndex;
    this.sampleIndex = sampleIndex;
  }

  /**
   * Orders as many samples as the parts have together.
   *
   * @param weights one per part, none negative, not all zero
   * @param arena holds the order, nine bytes per sample
   * @param progress counts samples
   */
  public static BlendedDataset of(
      List<? extends Dataset> parts, double[] weights, Arena arena, Progress progress) {
    if (parts.size() != weights.length || parts.isEmpty() || parts.size() >= 255) {
      throw new InputException(
          "blend of "
              + parts.size()
              + " data sets by "
              + weights.length
              + " weights: expected a weight for each of 1 to 254 data sets");
    }
    if (parts.stream().mapToInt(Dataset::seqLength).distinct().count() > 1) {
      throw new InputException(
          "blend: expected one sequence length, found "
              + parts.stream().mapToInt(Dataset::seqLength).distinct().boxed().toList());
    }
    double[] shares = checked(weights).clone();
    double sum = numpySum(shares, 0, shares.length);
    Arrays.setAll(shares, d -> shares[d] / sum);

    long size = parts.stream().mapToLong(Dataset::length).sum();
    progress.expect(size);
    Npy datasetIndex = Npy.allocate(arena, ElementType.U8, size);
    Npy sampleIndex = Npy.allocate(arena, ElementType.I64, size);
    long[] used = new long[shares.length];
    for (long k = 0; k < size; k++) {
      double due = Math.max(k, 1);
      int most = 0;
      double lag = shares[0] * due - used[0];
      for (int d = 1; d < shares.length; d++) {
        double other = shares[d] * due - used[d];
        if (other > lag) {
          lag = other;
          most = d;
        }
      }
      datasetIndex.set(k, most);
      sampleIndex.set(k, used[most]++);
      if ((k + 1) % REPORT == 0) {
        progress.step(REPORT);
      }
    }
    progress.step(size % REPORT);
    return new BlendedDataset(List.copyOf(parts), datasetIndex, sampleIndex);
  }

  private static double[] checked(double[] weights) {
    double sum = 0;
    for (double weight : weights) {
      if (!(weight >= 0) || Double.isInfinite(weight)) {
        throw new InputException(
            "blend weights " + Arrays.toString(weights) + ": expected numbers of 0 or more");
      }
      sum += weight;
    }
    if (!(sum > 0) || Double.isInfinite(sum)) {
      throw new InputException(
          "blend weights " + Arrays.toString(weights) + ": expected a positive sum");
    }
    return weights;
  }

  /**
   * Adds as {@code numpy.sum} does: pairwise, eight running sums per block. The order matters,
   * because the last bit of a share decides ties.
   */
  static double numpySum(double[] a, int from, int n) {
    if (n < 8) {
      double sum = 0;
      for (int i = from; i < from + n; i++) {
        sum += a[i];
      }
      return sum;
    }
    if (n > 128) {
      int half = n / 2 - n / 2 % 8;
      return numpySum(a, from, half) + numpySum(a, from + half, n - half);
    }
    double[] r = Arrays.copyOfRange(a, from, from + 8);
    int i = 8;
    for (; i < n - n % 8; i++) {
      r[i % 8] += a[from + i];
    }
    double sum = r[0] + r[1] + (r[2] + r[3]) + (r[4] + r[5] + (r[6] + r[7]));
    for (; i < n; i++) {
      sum += a[from + i];
    }
    return sum;
  }

  /**
   * Computes the samples that each part must have for a blend of {@code samples}: {@code
   * ceil(samples * weight * 1.005)} with normalised weights; the half percent is a reserve.
   */
  public static long[] samplesPerPart(double[] weights, long samples) {
    double sum = 0;
    for (double weight : checked(weights)) {
      sum += weight;
    }
    long[] parts = new long[weights.length];
    for (int d = 0; d < parts.length; d++) {
      parts[d] = (long) Math.ceil(samples * (weights[d] / sum) * 1.005);
    }
    return parts;
  }

  /**
   * Computes GPT-NeoX's {@code weight_by_num_documents}: with shares {@code n_i / sum} of the
   * documents, weights in proportion to {@code share^alpha / sum(share^alpha) * (1 - share)}. An
   * alpha below 1 raises the weight of small data sets.
   */
  public static double[] weightsByDocuments(long[] documents, double alpha) {
    double total = Arrays.stream(documents).sum();
    double[] shares = Arrays.stream(documents).mapToDouble(n -> n / total).toArray();
    double[] powers =
        normalised(Arrays.stream(shares).map(share -> Math.pow(share, alpha)).toArray());
    double[] weights = new double[shares.length];
    Arrays.setAll(weights, i -> powers[i] * (1 - shares[i]));
    return normalised(weights);
  }

  private static double[] normalised(double[] values) {
    double sum = 0;
    for (double value : values) {
      sum += value;
    }
    double[] result = values.clone();
    for (int i = 0; i < result.length; i++) {
      result[i] /= sum;
    }
    return result;
  }

  /** Returns {@code dataset_index}, u1: the part of the i-th sample. */
  public Npy datasetIndex() {
    return datasetIndex;
  }

  /** Returns {@code dataset_sample_index}, i8: the sample within that part. */
  public Npy sampleIndex() {
    return sampleIndex;
  }

  @Override
  public long length() {
    return datasetIndex.size();
  }

  @Override
  public int seqLength() {
    return parts.getFirst().seqLength();
  }

  @Override
  public int[] sample(long i) {
    long k = i % length();
    return parts.get((int) datasetIndex.get(k)).sample(sampleIndex.get(k));
  }

  @Override
  public List<IndexedDataset> sources() {
    return parts.stream().flatMap(part -> part.sources().stream()).toList();
  }

  @Override
  public List<Span> spans(long i) {
    long k = i % length();
    int part = (int) datasetIndex.get(k);
    int before = sourcesBefore(part);
    return parts.get(part).spans(sampleIndex.get(k)).stream()
        .map(span -> span.shifted(before))
        .toList();
  }

  private int sourcesBefore(int part) {
    return parts.subList(0, part).stream().mapToInt(before -> before.sources().size()).sum();
  }

  @Override
  public List<Read> reads(Origin origin, long samples) {
    Objects.checkIndex(origin.source(), sources().size());
    int part = 0;
    while (sourcesBefore(part + 1) <= origin.source()) {
      part++;
    }
    Origin within =
        new Origin(origin.source() - sourcesBefore(part), origin.document(), origin.offset());
    Inverse order = inverse();
    long start = order.starts[part];
    List<Read> reads = new ArrayList<>();
    for (Read read : parts.get(part).reads(within, order.starts[part + 1] - start)) {
      for (long i = order.samples.get(start + read.sample()); i < samples; i += length()) {
        reads.add(new Read(i, read.position()));
      }
    }
    Collections.sort(reads);
    return reads;
  }

  private synchronized Inverse inverse() {
    if (inverse == null) {
      inverse = Inverse.of(datasetIndex, sampleIndex, parts.size());
    }
    return inverse;
  }
}
