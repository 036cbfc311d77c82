package dev.jneox.model;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/** {@code W2 gelu(W1 x + b1) + b2}. */
record Mlp(Linear in, Linear out, Activation activation) {
  Tensor forward(Tensor x, Hooks hooks, String name) {
    Tensor pre = hooks.at(name, ".hook_pre", in.forward(x));
    Tensor post = torch.gelu(pre, activation == Activation.GELU ? "none" : "tanh");
    return out.forward(hooks.at(name, ".hook_post", post));
  }
}
