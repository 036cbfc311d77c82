package dev.jneox.data;

import dev.jneox.io.InputException;

/**
 * Documents packed into samples of {@code seqLength + 1} tokens in GPT-NeoX's order. Its length is
 * one less than the samples there are, as in GPT-NeoX; that last sample is still reachable, and a
 * number beyond it starts over by the remainder.
 */
public final class GptDataset implements Dataset {
  private final IndexedDataset data;
  private final SampleIndex index;
  private final int seqLength;

  public GptDataset(IndexedDataset data, SampleIndex index, int seqLength) {
    this.data = data;
    this.index = index;
    this.seqLength = seqLength;
  }

  @Override
  public long length() {
    return Math.max(0, index.count() - 1);
  }

  @Override
  public int seqLength() {
    return seqLength;
  }

  @Override
  public int[] sample(long i) {
    if (index.count() == 0) {
      throw InputException.in(
          data.prefix(), "data set", (seqLength + 1) + " tokens for one sample at least", "fewer");
    }
    long row = index.shuffle().get(i < index.count() ? i : i % Math.max(1, length()));
    long position = index.samples().get(2 * row);
    int offset = (int) index.samples().get(2 * row + 1);
    int[] ids = new int[seqLength + 1];
    for (int filled = 0; filled < ids.length; position++) {
      int document = (int) index.documents().get(position);
      int n = Math.min(data.size(document) - offset, ids.length - filled);
      data.copy(document, offset, ids, filled, n);
      filled += n;
      offset = 0;
    }
    return ids;
  }
}
