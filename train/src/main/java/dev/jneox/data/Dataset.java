package dev.jneox.data;

/**
 * Training samples by number. A sample is {@code seqLength + 1} token ids: the first {@code seqLength} are the input, the last
 * {@code seqLength} the labels. Safe for several threads.
 */
public sealed interface Dataset permits GptDataset, BlendedDataset {
  /** Samples in one pass; {@link #sample} goes on beyond, from the start again. */
  long length();

  /** Tokens of an input. */
  int seqLength();

  /** Sample {@code i >= 0}, a fresh array of {@code seqLength + 1} ids. */
  int[] sample(long i);
}
