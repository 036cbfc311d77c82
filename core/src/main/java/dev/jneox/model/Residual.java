package dev.jneox.model;

/**
 * Joins the attention and the feed-forward layer of a block to the residual stream.
 *
 * <pre>
 *   Serial                      Parallel                        ParallelOneNorm (GPT-J)
 *   x ---> norm -> attn -> +    x -+-> norm -> attn -+          x -> norm -+-> attn -+
 *     `--------------------'|      +-> norm -> ff ---+-> +        |        +-> ff ---+-> +
 *   x ---> norm -> ff ---> +       `-----------------'            `------------------'
 *     `--------------------'
 * </pre>
 */
public sealed interface Residual {
  /** The norm that attention reads. */
  Norm attention();

  /** The norm that the feed-forward layer reads; the same object where both read one. */
  Norm feedForward();

  /** Attention first; the feed-forward layer reads the stream after it (GPT-2, Llama). */
  record Serial(Norm attention, Norm feedForward) implements Residual {}

  /** Both read the same stream, each by a norm of its own (GPT-NeoX). */
  record Parallel(Norm attention, Norm feedForward) implements Residual {}

  /** Both read the stream by one norm (GPT-J). */
  record ParallelOneNorm(Norm norm) implements Residual {
    @Override
    public Norm attention() {
      return norm;
    }

    @Override
    public Norm feedForward() {
      return norm;
    }
  }

  /** Whether the feed-forward layer reads the stream after attention was added. */
  default boolean isSerial() {
    return this instanceof Serial;
  }

  /** Whether attention and the feed-forward layer read the same normed rows. */
  default boolean sharesNorm() {
    return this instanceof ParallelOneNorm;
  }
}
