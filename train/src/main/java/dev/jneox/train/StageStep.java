package dev.jneox.train;

import dev.jneox.dist.Shard;
import dev.jneox.torch.Values;

/**
 * Computes what one rank has of a model, on several micro-batches in turns. A rank that has the
 * whole model computes a micro-batch forward and at once backward.
 */
interface StageStep extends GradientStep {
  /** Computes one micro-batch through one chunk of blocks: forward, then backward. */
  interface Flight extends AutoCloseable {
    /**
     * Views the input of the first block, {@code [tokens, H]} in fp32. Where the chunk does not
     * begin with the embedding, the caller writes it before {@link #forward}.
     */
    Values input();

    /** Views the output of the last block, {@code [tokens, H]} in fp32, after {@link #forward}. */
    Values output();

    /**
     * Views the gradient of the output, {@code [tokens, H]} in fp32. Where the chunk does not end
     * with the head, the caller writes it before {@link #backward}. It may lie where the output is.
     */
    Values outputGradient();

    /** Views the gradient of the input, {@code [tokens, H]} in fp32, after {@link #backward}. */
    Values inputGradient();

    /** Computes the blocks, after the embedding where the chunk begins with it. */
    void forward();

    /** Computes the mean loss, where the chunk ends with the head. */
    double loss();

    /**
     * Adds the gradients of the chunk's weights.
     *
     * @param scale of the loss
     * @return the mean loss where the chunk ends with the head; else 0
     */
    double backward(double scale, ReadyListener listener);

    /** Gives the memory back. */
    @Override
    void close();
  }

  /** Returns what this rank has of the model. */
  Shard shard();

  /**
   * Takes memory for a micro-batch.
   *
   * @param backward whether its gradient is asked for
   */
  Flight begin(Batch batch, int chunk, boolean backward);

  @Override
  default double gradient(Batch batch, double scale, ReadyListener listener) {
    try (Flight flight = begin(batch, 0, true)) {
      flight.forward();
      return flight.backward(scale, listener);
    }
  }

  @Override
  default double loss(Batch batch) {
    try (Flight flight = begin(batch, 0, false)) {
      flight.forward();
      return flight.loss();
    }
  }
}
