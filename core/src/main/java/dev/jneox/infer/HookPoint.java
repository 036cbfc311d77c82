package dev.jneox.infer;

/** Names the points of a forward pass as TransformerLens does, in the order of the pass. */
public enum HookPoint {
  EMBED("hook_embed"),
  POS_EMBED("hook_pos_embed"),
  RESID_PRE("hook_resid_pre"),
  LN1_SCALE("ln1.hook_scale"),
  LN1_NORMALIZED("ln1.hook_normalized"),
  Q("attn.hook_q"),
  K("attn.hook_k"),
  V("attn.hook_v"),
  ROT_Q("attn.hook_rot_q"),
  ROT_K("attn.hook_rot_k"),
  ATTN_SCORES("attn.hook_attn_scores"),
  PATTERN("attn.hook_pattern"),
  Z("attn.hook_z"),
  ATTN_OUT("hook_attn_out"),
  RESID_MID("hook_resid_mid"),
  LN2_SCALE("ln2.hook_scale"),
  LN2_NORMALIZED("ln2.hook_normalized"),
  MLP_PRE("mlp.hook_pre"),
  MLP_PRE_LINEAR("mlp.hook_pre_linear"),
  MLP_POST("mlp.hook_post"),
  MLP_OUT("hook_mlp_out"),
  RESID_POST("hook_resid_post"),
  LN_FINAL_SCALE("ln_final.hook_scale"),
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
