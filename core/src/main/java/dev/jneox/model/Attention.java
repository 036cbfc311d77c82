package dev.jneox.model;

import dev.jneox.tensor.Tensors;
import org.bytedeco.pytorch.DoubleOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * Causal multi-head self-attention, over all positions or a window of the latest ones; its core is
 * in fp32.
 */
final class Attention {
  private final int heads;
  private final int headDim;
  private final int window;
  private final double scale;
  private final Rotary rotary; // null where positions are learned
  private final Linear queryKeyValue;
  private final Linear dense;

  Attention(ModelConfig config, int layer, Rotary rotary, Linear queryKeyValue, Linear dense) {
    this.heads = config.heads();
    this.headDim = config.headDim();
    this.window = config.windows().get(layer);
    this.scale = config.scaledAttention() ? 1 / Math.sqrt(headDim) : 1;
    this.rotary = rotary;
    this.queryKeyValue = queryKeyValue;
    this.dense = dense;
  }

  /** {@code x [B,S,H]} to {@code [B,S,H]}; {@code cache} may be null. */
  Tensor forward(Tensor x, int layer, KvCache cache, Hooks hooks, String name) {
    long batch = x.size(0);
    long seq = x.size(1);
    long past = cache == null ? 0 : cache.length();
    // [B,S,heads,3,headDim]: the three parts of a head lie side by side.
    Tensor fused = queryKeyValue.forward(x).view(batch, seq, heads, 3, headDim);
    Tensor q = hooks.at(name, ".hook_q", fused.select(3, 0));
    Tensor k = hooks.at(name, ".hook_k", fused.select(3, 1));
    Tensor v = hooks.at(name, ".hook_v", fused.select(3, 2));
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
    boolean seen = hooks.wants(name + ".hook_attn_scores") || hooks.wants(name + ".hook_pattern");
    Tensor z = seen ? explicit(q, k, v, past, hooks, name) : fused(q, k, v, past);
    z = hooks.at(name, ".hook_z", z.transpose(1, 2));
    return dense.forward(z.reshape(batch, seq, (long) heads * headDim));
  }

  /** The same as {@link #explicit} without ever holding the scores. */
  private Tensor fused(Tensor q, Tensor k, Tensor v, long past) {
    long seq = q.size(2);
    boolean plain = past == 0 && (window == 0 || window >= seq);
    boolean one = seq == 1 && (window == 0 || window >= past + 1);
    try (TensorOptional mask =
            plain || one ? new TensorOptional() : new TensorOptional(visible(seq, past));
        DoubleOptional s = new DoubleOptional(scale)) {
      return torch.scaled_dot_product_attention(q, k, v, mask, 0.0, plain, s, false);
    }
  }

  private Tensor explicit(Tensor q, Tensor k, Tensor v, long past, Hooks hooks, String name) {
    Tensor hidden = visible(q.size(2), past).logical_not();
    Tensor scores =
        torch
            .matmul(q, k.transpose(2, 3))
            .mul(new Scalar(scale))
            .masked_fill(hidden, new Scalar(Double.NEGATIVE_INFINITY));
    scores = hooks.at(name, ".hook_attn_scores", scores);
    return torch.matmul(hooks.at(name, ".hook_pattern", torch.softmax(scores, -1)), v);
  }

  /** {@code [S, past+S]}: whether the query of row i may see the key of column j. */
  private Tensor visible(long seq, long past) {
    Tensor all = Tensors.zeros(ScalarType.Byte, seq, past + seq).add_(new Scalar(1));
    Tensor causal = all.tril(past);
    return (window == 0 ? causal : causal.triu(past - window + 1)).to(ScalarType.Bool);
  }
}
