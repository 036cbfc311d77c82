package dev.jneox.torch;

import org.bytedeco.pytorch.Tensor;

/**
 * Looks at, or replaces, what flows through a forward pass. Names and shapes are TransformerLens's:
 * {@code hook_embed [B,S,H]}, {@code hook_pos_embed [B,S,H]} (learned positions only), {@code
 * blocks.{l}.hook_resid_pre}, {@code .ln1.hook_scale [B,S,1]}, {@code .ln1.hook_normalized} (an
 * RMSNorm's before its weights), {@code .attn.hook_q [B,S,heads,headDim]}, {@code .attn.hook_k|v
 * [B,S,kvHeads,headDim]}, {@code .attn.hook_rot_q|rot_k}, {@code .attn.hook_attn_scores
 * [B,heads,S,T]} (masked, before the softmax), {@code .attn.hook_pattern}, {@code .attn.hook_z
 * [B,S,heads,headDim]}, {@code .hook_attn_out}, {@code .hook_resid_mid} (serial residual only),
 * {@code .ln2.*}, {@code .mlp.hook_pre [B,S,F]} (of a gated MLP the gate's product), {@code
 * .mlp.hook_pre_linear} (gated MLPs only: the other product), {@code .mlp.hook_post}, {@code
 * .hook_mlp_out}, {@code .hook_resid_post}, {@code ln_final.*}.
 */
public interface Hooks {
  /** Sees nothing, costs nothing. */
  Hooks NONE =
      new Hooks() {
        @Override
        public boolean wants(String name) {
          return false;
        }

        @Override
        public Tensor apply(String name, Tensor value) {
          return value;
        }
      };

  /** Whether {@link #apply} will be interested; points that cost extra work ask first. */
  boolean wants(String name);

  /**
   * Called with the value at a point the hooks want; what is returned flows on. The value is closed
   * after the forward pass: keep a {@code detach()} of it outside the pass's scope, not the value
   * itself. It is on the model's device, where what is returned has to be, too.
   */
  Tensor apply(String name, Tensor value);

  /** {@link #apply} if wanted, else {@code value}. */
  default Tensor at(String prefix, String point, Tensor value) {
    if (this == NONE) {
      return value;
    }
    String name = prefix + point;
    return wants(name) ? apply(name, value) : value;
  }
}
