package dev.jneox.model;

/** Describes one layer of a decoder. */
public record BlockSpec(Residual residual, Attention attention, FeedForward feedForward) {
  public BlockSpec withAttention(Attention attention) {
    return new BlockSpec(residual, attention, feedForward);
  }

  public BlockSpec withResidual(Residual residual) {
    return new BlockSpec(residual, attention, feedForward);
  }

  public BlockSpec withFeedForward(FeedForward feedForward) {
    return new BlockSpec(residual, attention, feedForward);
  }
}
