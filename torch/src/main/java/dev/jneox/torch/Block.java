package dev.jneox.torch;

import dev.jneox.model.Residual;
import java.util.Objects;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * One layer: attention and MLP, joined to the residual stream as {@link Residual} draws it.
 *
 * @param ln2 the norm that the MLP reads; null where it reads attention's
 * @param attentionBias added to the sum of all ranks' attention; null where there is none, and
 *     where attention adds its own
 * @param mlpBias the same of the MLP
 */
record Block(
    int layer,
    Residual residual,
    NormLayer ln1,
    @Nullable NormLayer ln2,
    SelfAttention attention,
    Mlp mlp,
    @Nullable Tensor attentionBias,
    @Nullable Tensor mlpBias) {
  /** {@code [B,S,H]} to {@code [B,S,H]}. */
  Tensor forward(Tensor x, @Nullable KvCache cache, Hooks hooks, Segment segment) {
    String name = "blocks." + layer;
    Tensor in = hooks.at(name, ".hook_resid_pre", x);
    Tensor normed = segment.branchInput(ln1.forward(in, hooks, name + ".ln1"));
    Tensor attn =
        hooks.at(
            name, ".hook_attn_out", attention.forward(normed, layer, cache, hooks, name + ".attn"));
    // Parallel: the two outputs are added first, then the stream, in the order GPT-NeoX adds them.
    Tensor sum =
        switch (residual) {
          case Residual.Serial _ -> {
            Tensor both = in.add(biased(segment.sum(attn), attentionBias));
            Tensor mid = segment.between(hooks.at(name, ".hook_resid_mid", both));
            Tensor out = mlp(second(mid, hooks, name, segment), hooks, name);
            yield mid.add(biased(segment.sum(out), mlpBias));
          }
          case Residual.Parallel _ ->
              sum(segment, attn, mlp(second(in, hooks, name, segment), hooks, name)).add(in);
          case Residual.ParallelOneNorm _ -> sum(segment, attn, mlp(normed, hooks, name)).add(in);
        };
    return hooks.at(name, ".hook_resid_post", sum);
  }

  private Tensor second(Tensor x, Hooks hooks, String name, Segment segment) {
    return segment.branchInput(Objects.requireNonNull(ln2).forward(x, hooks, name + ".ln2"));
  }

  private Tensor sum(Segment segment, Tensor attn, Tensor mlp) {
    return biased(biased(segment.sum(attn.add(mlp)), attentionBias), mlpBias);
  }

  private static Tensor biased(Tensor x, @Nullable Tensor bias) {
    return bias == null ? x : x.add(bias);
  }

  private Tensor mlp(Tensor normed, Hooks hooks, String name) {
    return hooks.at(name, ".hook_mlp_out", mlp.forward(normed, hooks, name + ".mlp"));
  }
}
