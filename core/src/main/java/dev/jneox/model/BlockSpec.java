package dev.jneox.model;

/** Describes one layer of a decoder. */
public record BlockSpec(Residual residual, Attention attention, FeedForward feedForward) {
  /** Returns the same block with another attention. */
  public BlockSpec withAttention(Attention attention) {
    return new BlockSpec(residual, attention, feedForward);
  }

  /** Returns the same block with another residual. */
  public BlockSpec withResidual(Residual residual) {
    return new BlockSpec(residual, attention, feedForward);
  }

  /** Returns the same block with another feed-forward layer. */
  public BlockSpec withFeedForward(FeedForward feedForward) {
    return new BlockSpec(residual, attention, feedForward);
  }
}
