package dev.jneox.model;

import org.bytedeco.pytorch.Tensor;

/** One layer: attention and MLP, joined to the residual stream as {@link Residual} draws it. */
record Block(int layer, Residual residual, Norm ln1, Norm ln2, Attention attention, Mlp mlp) {
  /** {@code x [B,S,H]} to {@code [B,S,H]}. */
  Tensor forward(Tensor x, KvCache cache, Hooks hooks) {
    String name = "blocks." + layer;
    x = hooks.at(name, ".hook_resid_pre", x);
    Tensor normed = ln1.forward(x, hooks, name + ".ln1");
    Tensor attn =
        hooks.at(
            name, ".hook_attn_out", attention.forward(normed, layer, cache, hooks, name + ".attn"));
    Tensor mid = residual == Residual.SERIAL ? hooks.at(name, ".hook_resid_mid", x.add(attn)) : x;
    Tensor forMlp =
        residual == Residual.PARALLEL_ONE_NORM ? normed : ln2.forward(mid, hooks, name + ".ln2");
    Tensor out = hooks.at(name, ".hook_mlp_out", mlp.forward(forMlp, hooks, name + ".mlp"));
    // Parallel: the two outputs are added first, then the stream, in the order GPT-NeoX adds them.
    Tensor sum = residual == Residual.SERIAL ? mid.add(out) : attn.add(out).add(x);
    return hooks.at(name, ".hook_resid_post", sum);
  }
}
