package dev.jneox.infer;

/**
 * Looks at, or replaces, rows of values as they flow through the forward pass that serves requests.
 * Points carry TransformerLens's names, see {@link HookPoint}; a row is what one position has
 * there:
 *
 * <ul>
 *   <li>{@code hook_embed}, {@code hook_pos_embed} (learned positions only), {@code
 *       blocks.{l}.hook_resid_pre}, {@code hook_attn_out}, {@code hook_resid_mid} (serial residual
 *       only), {@code hook_mlp_out}, {@code hook_resid_post}, and {@code hook_normalized} of {@code
 *       ln1}, {@code ln2} and {@code ln_final}: {@code [width]}
 *   <li>{@code hook_scale} of each norm: {@code [1]}
 *   <li>{@code attn.hook_q}, {@code hook_rot_q}, {@code hook_z}: {@code [heads, headDim]}; {@code
 *       hook_k}, {@code hook_v}, {@code hook_rot_k}: {@code [kvHeads, headDim]}
 *   <li>{@code attn.hook_attn_scores} (scaled, hidden ones minus infinity) and {@code
 *       hook_pattern}: {@code [heads, position + 1]}
 *   <li>{@code mlp.hook_pre}, {@code hook_post}, and with a gate, which {@code hook_pre} then is,
 *       {@code hook_pre_linear}: {@code [inner width]}
 * </ul>
 *
 * The final norm is computed, and tapped, of rows alone whose logits are asked for. Points that no
 * tap wants cost nothing; a tapped pass that changes nothing gives the same bits as one without.
 * Called by the thread that runs the pass: point by point in the order of the pass, at each point
 * row by row. A request that has taps, see {@link GenerationRequest}, shows them its own rows: each
 * position once, unless the engine has to read positions again after it gave up its place.
 */
public interface Taps {
  /** Whether a point's rows are wanted; asked once for each point of a pass, before it. */
  boolean wants(String name);

  /**
   * Takes one row at a point that was wanted; what it leaves there flows on.
   *
   * @param values {@code values[at .. at + width - 1]} is the row; not to be kept
   * @param sequence which sequence it belongs to
   * @param position of the row in its sequence, from 0
   */
  void apply(String name, float[] values, int at, int width, long sequence, int position);
}
