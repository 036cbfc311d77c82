package dev.jneox.model;

import java.util.Optional;

/**
 * Names the non-linearity of the MLP. {@link #GELU_TANH} is the approximation of Hendrycks and
 * Gimpel (2016), which GPT-NeoX uses when {@code bias_gelu_fusion} is on.
 */
public enum Activation {
  /** Computes {@code x/2 (1 + erf(x/sqrt 2))}. */
  GELU("gelu"),
  /** Computes {@code x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))}. */
  GELU_TANH("gelu_new"),
  /** Computes {@code x sigmoid(x)}. */
  SILU("silu");

  private final String hfName;

  Activation(String hfName) {
    this.hfName = hfName;
  }

  /** Returns the {@code hidden_act} that a config.json gets. */
  public String hfName() {
    return hfName;
  }

  /**
   * Reads {@code hidden_act}; empty for an unknown name. The three tanh spellings differ only in
   * rounding.
   */
  public static Optional<Activation> ofHf(String name) {
    return switch (name) {
      case "gelu" -> Optional.of(GELU);
      case "gelu_new", "gelu_fast", "gelu_pytorch_tanh" -> Optional.of(GELU_TANH);
      case "silu", "swish" -> Optional.of(SILU);
      default -> Optional.empty();
    };
  }
}
