package dev.jneox.model;

/** Describes the feed-forward layer of a block (MLP). */
public sealed interface FeedForward {
  /** Values between its matrices (F). */
  int width();

  Activation activation();

  /** Whether its linear maps have biases. */
  boolean bias();

  /** {@code down(act(up(x)))}. */
  record Plain(int width, Activation activation, boolean bias) implements FeedForward {
    public Plain {
      ModelSpec.positive("intermediate_size", width);
    }
  }

  /** {@code down(act(gate(x)) * up(x))} (Shazeer 2020; SwiGLU where the activation is SiLU). */
  record Gated(int width, Activation activation, boolean bias) implements FeedForward {
    public Gated {
      ModelSpec.positive("intermediate_size", width);
    }
  }

  /** Whether there is a gate. */
  default boolean isGated() {
    return this instanceof Gated;
  }
}
