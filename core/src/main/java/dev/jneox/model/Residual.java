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
  /** Returns the norm that attention reads. */
  Norm attention();

  /** Returns the norm that the feed-forward layer reads; the same object where both share one. */
  Norm feedForward();

  /** Runs attention first; the feed-forward layer reads the stream after it (GPT-2, Llama). */
  record Serial(Norm attention, Norm feedForward) implements Residual {}

  /** Runs both on the same stream, each behind its own norm (GPT-NeoX). */
  record Parallel(Norm attention, Norm feedForward) implements Residual {}

  /** Runs both on the same stream behind one norm (GPT-J). */
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

  /** Returns whether the feed-forward layer reads the stream after attention was added. */
  default boolean isSerial() {
    return this instanceof Serial;
  }

  /** Returns whether attention and the feed-forward layer read the same normalised rows. */
  default boolean sharesNorm() {
    return this instanceof ParallelOneNorm;
  }
}
