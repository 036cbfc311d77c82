package dev.jneox.infer;

/** Names the points of a forward pass as TransformerLens does, in the order of the pass. */
public enum HookPoint {
  /** The embedding of the ids, {@code [width]}. */
  EMBED("hook_embed"),
  /** The learned embedding of the position, {@code [width]}; only in models that have one. */
  POS_EMBED("hook_pos_embed"),
  /** The residual stream before a block, {@code [width]}. */
  RESID_PRE("hook_resid_pre"),
  /** What the norm before attention divides by, {@code [1]}. */
  LN1_SCALE("ln1.hook_scale"),
  /**
   * The norm before attention: after weight and bias of a layer norm, before the weight of an RMS
   * norm, {@code [width]}.
   */
  LN1_NORMALIZED("ln1.hook_normalized"),
  /** Queries before rotation, {@code [heads * headDim]}. */
  Q("attn.hook_q"),
  /** Keys before rotation, {@code [kvHeads * headDim]}. */
  K("attn.hook_k"),
  /** Values, {@code [kvHeads * headDim]}. */
  V("attn.hook_v"),
  /** Queries after rotation, {@code [heads * headDim]}; only where positions are rotary. */
  ROT_Q("attn.hook_rot_q"),
  /** Keys after rotation, {@code [kvHeads * headDim]}; only where positions are rotary. */
  ROT_K("attn.hook_rot_k"),
  /** Scaled scores of one query before the softmax, {@code [heads * positions]}. */
  ATTN_SCORES("attn.hook_attn_scores"),
  /** Probabilities of one query after the softmax, {@code [heads * positions]}. */
  PATTERN("attn.hook_pattern"),
  /** The sums of values that the output projection reads, {@code [heads * headDim]}. */
  Z("attn.hook_z"),
  /** The output of attention, {@code [width]}. */
  ATTN_OUT("hook_attn_out"),
  /**
   * The residual stream between attention and feed-forward layer, {@code [width]}; only where they
   * follow each other.
   */
  RESID_MID("hook_resid_mid"),
  /** What the norm before the feed-forward layer divides by, {@code [1]}. */
  LN2_SCALE("ln2.hook_scale"),
  /** The norm before the feed-forward layer, as {@link #LN1_NORMALIZED}. */
  LN2_NORMALIZED("ln2.hook_normalized"),
  /** What the activation function reads, {@code [inner width]}. */
  MLP_PRE("mlp.hook_pre"),
  /**
   * What the result of the activation function is multiplied by, {@code [inner width]}; only with a
   * gate.
   */
  MLP_PRE_LINEAR("mlp.hook_pre_linear"),
  /** What the last map of the feed-forward layer reads, {@code [inner width]}. */
  MLP_POST("mlp.hook_post"),
  /** The output of the feed-forward layer, {@code [width]}. */
  MLP_OUT("hook_mlp_out"),
  /** The residual stream after a block, {@code [width]}. */
  RESID_POST("hook_resid_post"),
  /** What the norm before the head divides by, {@code [1]}. */
  LN_FINAL_SCALE("ln_final.hook_scale"),
  /** The norm before the head, as {@link #LN1_NORMALIZED}. */
  LN_FINAL_NORMALIZED("ln_final.hook_normalized");

  private final String suffix;

  HookPoint(String suffix) {
    this.suffix = suffix;
  }

  /** Whether each layer has its own. */
  public boolean isOfLayer() {
    return switch (this) {
      case EMBED, POS_EMBED, LN_FINAL_SCALE, LN_FINAL_NORMALIZED -> false;
      default -> true;
    };
  }

  /** Its name in a layer, {@code blocks.3.attn.hook_q}, or, of a point of no layer, its name. */
  public String in(int layer) {
    return isOfLayer() ? "blocks." + layer + "." + suffix : suffix;
  }
}
