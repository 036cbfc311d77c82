package dev.jneox.torch;

import dev.jneox.model.Activation;
import dev.jneox.model.FeedForward;
import java.util.Objects;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;

/**
 * Maps rows as a {@link FeedForward} says.
 *
 * @param gate null where there is no gate
 */
record Mlp(FeedForward feedForward, @Nullable Linear gate, Linear up, Linear down) {
  /** {@code [B,S,H]} to {@code [B,S,H]}. */
  Tensor forward(Tensor x, Hooks hooks, String name) {
    Tensor post =
        switch (feedForward) {
          case FeedForward.Plain plain ->
              activate(plain.activation(), hooks.at(name, ".hook_pre", up.forward(x)));
          case FeedForward.Gated gated -> {
            Tensor pre = hooks.at(name, ".hook_pre", Objects.requireNonNull(gate).forward(x));
            Tensor linear = hooks.at(name, ".hook_pre_linear", up.forward(x));
            yield activate(gated.activation(), pre).mul(linear);
          }
        };
    return down.forward(hooks.at(name, ".hook_post", post));
  }

  private static Tensor activate(Activation activation, Tensor x) {
    return switch (activation) {
      case GELU -> torch.gelu(x, "none");
      case GELU_TANH -> torch.gelu(x, "tanh");
      case SILU -> torch.silu(x);
    };
  }
}
