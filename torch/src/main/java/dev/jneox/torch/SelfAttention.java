package dev.jneox.torch;

import dev.jneox.model.Attention;
import org.bytedeco.pytorch.DoubleOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.jspecify.annotations.Nullable;

/**
 * Causal self-attention as an {@link Attention} says, over all positions or a window of the latest
 * ones; its core is in fp32.
 *
 * @param rotary null where attention knows nothing of positions
 */
record SelfAttention(
    Attention attention,
    @Nullable Rotary rotary,
    Linear query,
    Linear key,
    Linear value,
    Linear out) {
  /** {@code [B,S,H]} to {@code [B,S,H]}; {@code cache} may be null. */
  Tensor forward(Tensor x, int layer, @Nullable KvCache cache, Hooks hooks, String name) {
    long batch = x.size(0);
    long seq = x.size(1);
    long past = cache == null ? 0 : cache.length();
    Tensor q = hooks.at(name, ".hook_q", heads(query.forward(x), attention.heads()));
    Tensor k = hooks.at(name, ".hook_k", heads(key.forward(x), attention.kvHeads()));
    Tensor v = hooks.at(name, ".hook_v", heads(value.forward(x), attention.kvHeads()));
    if (rotary != null) {
      q = hooks.at(name, ".hook_rot_q", rotary.apply(q, past));
      k = hooks.at(name, ".hook_rot_k", rotary.apply(k, past));
    }
    q = q.transpose(1, 2);
    k = k.transpose(1, 2);
    v = v.transpose(1, 2);
    if (cache != null) {
      k = cache.keys(layer, k);
      v = cache.values(layer, v);
    }
    k = perQuery(k);
    v = perQuery(v);
    boolean seen = hooks.wants(name + ".hook_attn_scores") || hooks.wants(name + ".hook_pattern");
    Tensor z = seen ? explicit(q, k, v, past, hooks, name) : fused(q, k, v, past);
    z = hooks.at(name, ".hook_z", z.transpose(1, 2));
    return out.forward(z.reshape(batch, seq, attention.queryWidth()));
  }

  private Tensor heads(Tensor rows, int heads) {
    return rows.view(rows.size(0), rows.size(1), heads, attention.headDim());
  }

  /** {@code [B,kvHeads,T,d]} to {@code [B,heads,T,d]}: the heads of a group have the same. */
  private Tensor perQuery(Tensor x) {
    int group = attention.groupSize();
    if (group == 1) {
      return x;
    }
    long[] s = Tensors.shape(x);
    return x.unsqueeze(2)
        .expand(s[0], s[1], group, s[2], s[3])
        .reshape(s[0], s[1] * group, s[2], s[3]);
  }

  /** The same as {@link #explicit} without ever holding the scores. */
  private Tensor fused(Tensor q, Tensor k, Tensor v, long past) {
    long seq = q.size(2);
    int window = attention.window();
    boolean plain = past == 0 && (window == 0 || window >= seq);
    boolean one = seq == 1 && (window == 0 || window >= past + 1);
    try (TensorOptional mask =
            plain || one ? new TensorOptional() : new TensorOptional(visible(q, past));
        DoubleOptional s = new DoubleOptional(attention.scale())) {
      return torch.scaled_dot_product_attention(q, k, v, mask, 0.0, plain, s, false);
    }
  }

  private Tensor explicit(Tensor q, Tensor k, Tensor v, long past, Hooks hooks, String name) {
    Tensor hidden = visible(q, past).eq(new Scalar(0));
    Tensor scores =
        torch
            .matmul(q, k.transpose(2, 3))
            .mul(new Scalar(attention.scale()))
            .masked_fill(hidden, new Scalar(Double.NEGATIVE_INFINITY));
    scores = hooks.at(name, ".hook_attn_scores", scores);
    return torch.matmul(hooks.at(name, ".hook_pattern", torch.softmax(scores, -1)), v);
  }

  /** {@code [S, past+S]}: whether the query of row i may see the key of column j. */
  private Tensor visible(Tensor q, long past) {
    long seq = q.size(2);
    int window = attention.window();
    Tensor all = q.new_ones(seq, past + seq);
    Tensor causal = all.tril(past);
    return (window == 0 ? causal : causal.triu(past - window + 1)).to(ScalarType.Bool);
  }
}
