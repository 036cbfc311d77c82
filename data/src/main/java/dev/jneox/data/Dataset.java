package dev.jneox.data;

import java.lang.foreign.Arena;

/**
 * Training samples by number. A sample is {@code seqLength + 1} token ids: the first {@code
 * seqLength} are the input, the last {@code seqLength} the labels. Safe for several threads.
 */
public sealed interface Dataset permits GptDataset, BlendedDataset {
  /** Samples in one pass; {@link #sample} goes on beyond, from the start again. */
  long length();

  /** Tokens of an input. */
  int seqLength();

  /** Sample {@code i >= 0}, a fresh array of {@code seqLength + 1} ids. */
  int[] sample(long i);

  /** The first {@code n} samples, i8 [n, seqLength + 1], as GPT-NeoX's loader gives them. */
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
