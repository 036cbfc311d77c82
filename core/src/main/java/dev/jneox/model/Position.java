package dev.jneox.model;

/** Says how attention learns the position of a token. */
public sealed interface Position {
  /** Leaves attention without positions: the embedding adds them, or the model has none. */
  record None() implements Position {}

  /**
   * Rotary embedding (Su et al. 2021) of the first {@code dims} values of each head's query and
   * key.
   *
   * @param dims even, at most the head's width
   * @param base angle of pair i at position p is {@code p * base^(-2i/dims)}
   * @param interleaved pairs are (0,1), (2,3), ... as in GPT-J; else (0, dims/2), (1, dims/2+1),
   *     ... as in GPT-NeoX
   */
  record Rotary(int dims, double base, boolean interleaved) implements Position {
    /**
     * Returns the angle of pair {@code pair} at position {@code p}, rounded to fp32 at each step as
     * PyTorch's implementations do.
     */
    public float angle(int p, int pair) {
      float inverse = 1f / (float) Math.pow((float) base, 2f * pair / dims);
      return p * inverse;
    }
  }
}
