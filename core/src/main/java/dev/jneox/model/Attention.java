package dev.jneox.model;

import java.util.Optional;

/**
 * Describes causal self-attention. There may be more queries than keys and values: heads {@code h}
 * to {@code h + heads / kvHeads - 1} share a key and a value (Ainslie et al. 2023).
 *
 * @param heads query heads
 * @param kvHeads key and value heads; a divisor of {@code heads}
 * @param headDim width of a head (d)
 * @param position how queries and keys depend on their position
 * @param window how many of the latest positions a query attends to, itself included; 0 for all
 * @param scale factor of the scores before the softmax
 * @param qkvBias whether query, key and value have biases
 * @param outBias whether the output projection has a bias
 */
public record Attention(
    int heads,
    int kvHeads,
    int headDim,
    Position position,
    int window,
    double scale,
    boolean qkvBias,
    boolean outBias) {
  /** Checks that the heads share keys evenly and that a rotary embedding fits a head. */
  public Attention {
    ModelSpec.positive("num_attention_heads", heads);
    ModelSpec.positive("num_key_value_heads", kvHeads);
    ModelSpec.positive("head_dim", headDim);
    ModelSpec.require(
        heads % kvHeads == 0,
        "num_attention_heads " + heads + " is not a multiple of num_key_value_heads " + kvHeads);
    ModelSpec.require(window >= 0, "an attention window must not be negative, is " + window);
    if (position instanceof Position.Rotary rotary) {
      ModelSpec.require(
          rotary.dims() >= 2 && rotary.dims() % 2 == 0 && rotary.dims() <= headDim,
          "rotary dimensions " + rotary.dims() + " must be even and within 2.." + headDim);
    }
  }

  /** Describes attention with one key per query and the usual scale, {@code 1/sqrt(d)}. */
  public static Attention of(int heads, int headDim, Position position) {
    return new Attention(heads, heads, headDim, position, 0, scaleOf(headDim), true, true);
  }

  /** Returns the usual scale, {@code 1/sqrt(d)} (Vaswani et al. 2017). */
  public static double scaleOf(int headDim) {
    return 1 / Math.sqrt(headDim);
  }

  /** Returns whether scores have the usual scale, {@code 1/sqrt(d)}. */
  public boolean isScaled() {
    return scale == scaleOf(headDim);
  }

  /** Returns how many query heads share a key and a value. */
  public int groupSize() {
    return heads / kvHeads;
  }

  /**
   * Returns the values of a row of queries, which is also the width of attention's output before
   * its projection.
   */
  public int queryWidth() {
    return heads * headDim;
  }

  /** Returns the values of a row of keys, and of a row of values. */
  public int keyWidth() {
    return kvHeads * headDim;
  }

  /** Returns the values of a row of queries, keys and values together. */
  public int fusedWidth() {
    return queryWidth() + 2 * keyWidth();
  }

  /** Returns the rotary embedding; empty when {@link #position} is of another kind. */
  public Optional<Position.Rotary> rotary() {
    return position instanceof Position.Rotary rotary ? Optional.of(rotary) : Optional.empty();
  }

  /** Returns the same attention with another window. */
  public Attention withWindow(int window) {
    return new Attention(heads, kvHeads, headDim, position, window, scale, qkvBias, outBias);
  }

  /** Returns the same attention with another scale. */
  public Attention withScale(double scale) {
    return new Attention(heads, kvHeads, headDim, position, window, scale, qkvBias, outBias);
  }

  /** Returns the same attention with another number of key and value heads. */
  public Attention withKvHeads(int kvHeads) {
    return new Attention(heads, kvHeads, headDim, position, window, scale, qkvBias, outBias);
  }

  /** Returns the same attention with or without biases. */
  public Attention withBiases(boolean qkvBias, boolean outBias) {
    return new Attention(heads, kvHeads, headDim, position, window, scale, qkvBias, outBias);
  }

  /**
   * Returns the attention of one of {@code ranks} that have equally many heads.
   *
   * @throws IllegalArgumentException when the heads, or the keys that they share, cannot be divided
   */
  public Attention divided(int ranks) {
    ModelSpec.require(
        heads % ranks == 0 && kvHeads % ranks == 0,
        heads + " heads and " + kvHeads + " keys cannot be divided among " + ranks + " ranks");
    return new Attention(
        heads / ranks, kvHeads / ranks, headDim, position, window, scale, qkvBias, outBias);
  }
}
