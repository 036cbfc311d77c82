package dev.jneox.torch;

import dev.jneox.model.Residual;
import java.util.Objects;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * One layer: attention and MLP, joined to the residual stream as {@link Residual} draws it.
 *
 * @param ln2 the norm that the MLP reads; null where it reads attention's
 */
record Block(
    int layer,
    Residual residual,
    NormLayer ln1,
    @Nullable NormLayer ln2,
    SelfAttention attention,
    Mlp mlp) {
  /** {@code [B,S,H]} to {@code [B,S,H]}. */
  Tensor forward(Tensor x, @Nullable KvCache cache, Hooks hooks) {
    String name = "blocks." + layer;
    Tensor in = hooks.at(name, ".hook_resid_pre", x);
    Tensor normed = ln1.forward(in, hooks, name + ".ln1");
    Tensor attn =
        hooks.at(
            name, ".hook_attn_out", attention.forward(normed, layer, cache, hooks, name + ".attn"));
    // Parallel: the two outputs are added first, then the stream, in the order GPT-NeoX adds them.
    Tensor sum =
        switch (residual) {
          case Residual.Serial _ -> {
            Tensor mid = hooks.at(name, ".hook_resid_mid", in.add(attn));
            yield mid.add(
                mlp(Objects.requireNonNull(ln2).forward(mid, hooks, name + ".ln2"), hooks, name));
          }
          case Residual.Parallel _ ->
              attn.add(
                      mlp(
                          Objects.requireNonNull(ln2).forward(in, hooks, name + ".ln2"),
                          hooks,
                          name))
                  .add(in);
          case Residual.ParallelOneNorm _ -> attn.add(mlp(normed, hooks, name)).add(in);
        };
    return hooks.at(name, ".hook_resid_post", sum);
  }

  private Tensor mlp(Tensor normed, Hooks hooks, String name) {
    return hooks.at(name, ".hook_mlp_out", mlp.forward(normed, hooks, name + ".mlp"));
  }
}
