package dev.jneox.data;

import java.lang.foreign.Arena;
import java.util.List;

/**
 * Gives training samples by number. A sample is {@code seqLength + 1} token ids: the first {@code
 * seqLength} are the input, the last {@code seqLength} the labels. So the last position is a label
 * only; its token is also the first input of the sample cut next to it. Safe for several threads.
 *
 * <p>{@link #spans} leads from a sample to the documents it was cut from, {@link #reads} from a
 * token of a document to the samples that contain it. The first call of {@link #reads} builds an
 * index of 4 to 8 bytes for each sample and each document of each epoch.
 */
public sealed interface Dataset permits GptDataset, BlendedDataset {
  /**
   * Locates a token in the samples.
   *
   * @param sample number of the sample
   * @param position token of the sample, 0 to {@code seqLength}
   */
  record Read(long sample, int position) implements Comparable<Read> {
    @Override
    public int compareTo(Read other) {
      int order = Long.compare(sample, other.sample);
      return order == 0 ? Integer.compare(position, other.position) : order;
    }
  }

  /** Returns the samples in one pass; {@link #sample} continues from the start beyond it. */
  long length();

  /** Returns the tokens of an input. */
  int seqLength();

  /** Returns sample {@code i >= 0} as a new array of {@code seqLength + 1} ids. */
  int[] sample(long i);

  /**
   * Returns the file pairs that the samples come from; {@link Span#source} is an index of this
   * list.
   */
  List<IndexedDataset> sources();

  /**
   * Says where the tokens of a sample come from, in their order: spans that cover its positions
   * without gaps or overlaps.
   */
  List<Span> spans(long i);

  /**
   * Lists the places where a token is read, in ascending order. It is empty for a token behind the
   * last sample and for a document of another split.
   *
   * @param samples only the samples below this number count; data repeat without end
   * @throws IndexOutOfBoundsException if there is no such token
   */
  List<Read> reads(Origin origin, long samples);

  /**
   * Returns the first {@code n} samples, i8 [n, seqLength + 1], as GPT-NeoX's loader gives them.
   */
  default Npy first(int n, Arena arena) {
    Npy samples = Npy.allocate(arena, ElementType.I64, n, seqLength() + 1L);
    for (int i = 0; i < n; i++) {
      int[] ids = sample(i);
      for (int k = 0; k < ids.length; k++) {
        samples.set((long) i * ids.length + k, ids[k]);
      }
    }
    return samples;
  }
}
