package dev.jneox.model;

import java.util.Optional;

/**
 * The non-linearity of the MLP. {@link #GELU} is exact, {@code x/2 (1 + erf(x/sqrt 2))}; {@link
 * #GELU_TANH} is the approximation {@code x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))} of
 * Hendrycks and Gimpel (2016), which GPT-NeoX uses when {@code bias_gelu_fusion} is on; {@link
 * #SILU} is {@code x sigmoid(x)}.
 */
public enum Activation {
  GELU("gelu"),
  GELU_TANH("gelu_new"),
  SILU("silu");

  private final String hfName;

  Activation(String hfName) {
    this.hfName = hfName;
  }

  /** The name written as {@code hidden_act} into a config.json. */
  public String hfName() {
    return hfName;
  }

  /**
   * Reads {@code hidden_act}: the three tanh spellings differ only in rounding. Null when the name
   * is none of these.
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
