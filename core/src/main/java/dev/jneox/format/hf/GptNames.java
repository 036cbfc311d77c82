package dev.jneox.format.hf;

import dev.jneox.model.ParamId;
import dev.jneox.weights.CanonicalNames;
import java.util.regex.Pattern;

/**
 * Holds the names that GPT-2, GPT-J and GPT-Neo share ({@code wte}, {@code wpe}, {@code h.0.ln_1},
 * {@code ln_f}, {@code lm_head}), and those that differ.
 *
 * @param query behind the layer, such as {@code attn.q_proj}, or of the fused tensor {@code
 *     attn.c_attn}
 * @param dense the output projection of attention
 * @param in the first matrix of the MLP
 * @param out the second matrix of the MLP
 */
record GptNames(String query, String dense, String in, String out) {
  static final String PREFIX = "transformer.";
  static final String HEAD = "lm_head";

  /** Causal masks, sinusoids and the value of a masked score. */
  private static final Pattern BUFFER =
      Pattern.compile("h\\.\\d+\\.attn\\.(attention\\.)?(bias|masked_bias|embed_positions)");

  /** Returns the name of a parameter; for a fused query, key and value that of the fused tensor. */
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
