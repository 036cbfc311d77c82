package dev.jneox.data;

import dev.jneox.io.InputException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Packs documents into samples of {@code seqLength + 1} tokens in GPT-NeoX's order. Its length is
 * one less than the samples there are, as in GPT-NeoX; that last sample is still reachable, and a
 * number beyond it starts over by the remainder.
 */
public final class GptDataset implements Dataset {
  private final IndexedDataset data;
  private final SampleIndex index;
  private final int seqLength;
  private @Nullable InverseIndex inverse; // null until the first call of reads

  /**
   * Combines a file pair with an index of its samples.
   *
   * @param data the documents
   * @param index the order and the cuts
   * @param seqLength tokens of an input
   */
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
  public List<IndexedDataset> sources() {
    return List.of(data);
  }

  @Override
  public int[] sample(long i) {
    int[] ids = new int[seqLength + 1];
    for (Span span : spans(i)) {
      data.copy(span.document(), span.offset(), ids, span.position(), span.length());
    }
    return ids;
  }

  @Override
  public List<Span> spans(long i) {
    if (index.count() == 0) {
      throw InputException.in(
          data.prefix(), "data set", (seqLength + 1) + " tokens for one sample at least", "fewer");
    }
    long row = index.shuffle().get(i < index.count() ? i : i % period());
    long place = index.samples().get(2 * row);
    int offset = (int) index.samples().get(2 * row + 1);
    List<Span> spans = new ArrayList<>();
    for (int filled = 0; filled <= seqLength; place++) {
      int document = (int) index.documents().get(place);
      int n = Math.min(data.size(document) - offset, seqLength + 1 - filled);
      if (n > 0) {
        spans.add(new Span(0, document, offset, n, filled));
      }
      filled += n;
      offset = 0;
    }
    return spans;
  }

  /**
   * Returns the number of samples after which they repeat, behind the last of {@link
   * SampleIndex#count}.
   */
  private long period() {
    return Math.max(1, length());
  }

  @Override
  public List<Read> reads(Origin origin, long samples) {
    Objects.checkIndex(origin.source(), 1);
    Objects.checkIndex(origin.document(), data.sequences());
    Objects.checkIndex(origin.offset(), data.size(origin.document()));
    List<Read> reads = new ArrayList<>();
    InverseIndex places = inverse();
    long end = places.start(origin.document() + 1);
    for (long p = places.start(origin.document()); p < end; p++) {
      long place = places.positions().get(p);
      long row = index.row(place, origin.offset());
      int position = distance(row, place, origin.offset());
      if (row < index.count()) { // too few tokens for a sample follow the last cut
        addReads(reads, row, position, samples);
      }
      if (position == 0 && row > 0) {
        addReads(reads, row - 1, seqLength, samples);
      }
    }
    Collections.sort(reads);
    return reads;
  }

  /**
   * Returns the tokens from the cut where {@code row} begins to a token of the document at {@code
   * place}.
   */
  private int distance(long row, long place, int offset) {
    long tokens = offset - index.samples().get(2 * row + 1);
    for (long p = index.samples().get(2 * row); p < place; p++) {
      tokens += data.size((int) index.documents().get(p));
    }
    return Math.toIntExact(tokens);
  }

  private void addReads(List<Read> reads, long row, int position, long samples) {
    long number = inverse().samples().get(row);
    if (number < samples) {
      reads.add(new Read(number, position));
    }
    if (number < period()) {
      long again = index.count() + Math.floorMod(number - index.count(), period());
      for (; again < samples; again += period()) {
        reads.add(new Read(again, position));
      }
    }
  }

  private synchronized InverseIndex inverse() {
    if (inverse == null) {
      inverse = InverseIndex.of(index);
    }
    return inverse;
  }
}
