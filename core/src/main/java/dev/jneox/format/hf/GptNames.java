package dev.jneox.format.hf;

import dev.jneox.model.ParamId;
import dev.jneox.weights.CanonicalNames;
import java.util.regex.Pattern;

/**
 * The names that GPT-2, GPT-J and GPT-Neo have in common ({@code wte}, {@code wpe}, {@code
 * h.0.ln_1}, {@code ln_f}, {@code lm_head}), and those in which they differ.
 *
 * @param query after the layer, such as {@code attn.q_proj}, or of the fused tensor {@code
 *     attn.c_attn}
 * @param dense the attention's output projection
 * @param in the MLP's first matrix
 * @param out the MLP's second matrix
 */
record GptNames(String query, String dense, String in, String out) {
  static final String PREFIX = "transformer.";
  static final String HEAD = "lm_head";

  /** Causal masks, sinusoids and the value of a masked score. */
  private static final Pattern BUFFER =
      Pattern.compile("h\\.\\d+\\.attn\\.(attention\\.)?(bias|masked_bias|embed_positions)");

  /**
   * Returns the name of a parameter; where queries, keys and values are fused, that of all three.
   */
  String of(ParamId id) {
    String part =
        switch (id.part()) {
          case EMBEDDING -> "wte";
          case POSITIONS -> "wpe";
          case ATTENTION_NORM -> "ln_1";
          case FEED_FORWARD_NORM -> "ln_2";
          case QUERY -> query;
          case KEY -> query.replace("q_proj", "k_proj");
          case VALUE -> query.replace("q_proj", "v_proj");
          case ATTENTION_OUT -> dense;
          case UP -> in;
          case DOWN -> out;
          case FINAL_NORM -> "ln_f";
          case HEAD -> HEAD;
          case GATE -> throw new IllegalArgumentException("no tensor for " + id);
        };
    String layer = id.block() == ParamId.MODEL ? "" : "h." + id.block() + ".";
    return layer + part + CanonicalNames.kind(id);
  }

  static boolean isBuffer(String name) {
    return BUFFER.matcher(name).matches();
  }
}
