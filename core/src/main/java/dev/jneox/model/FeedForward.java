package dev.jneox.model;

/** Describes the feed-forward layer of a block (MLP). */
public sealed interface FeedForward {
  /** Returns the width between its matrices (F). */
  int width();

  /** Returns the non-linearity. */
  Activation activation();

  /** Returns whether its linear maps have biases. */
  boolean bias();

  /** Computes {@code down(act(up(x)))}. */
  record Plain(int width, Activation activation, boolean bias) implements FeedForward {
    /** Checks the width. */
    public Plain {
      ModelSpec.positive("intermediate_size", width);
    }
  }

  /**
   * Computes {@code down(act(gate(x)) * up(x))} (Shazeer 2020; SwiGLU where the activation is
   * SiLU).
   */
  record Gated(int width, Activation activation, boolean bias) implements FeedForward {
    /** Checks the width. */
    public Gated {
      ModelSpec.positive("intermediate_size", width);
    }
  }

  /** Returns whether it has a gate. */
  default boolean isGated() {
    return this instanceof Gated;
  }
}
