package dev.jneox.checkpoint;

import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The names that GPT-2, GPT-J and GPT-Neo have in common ({@code wte}, {@code wpe}, {@code
 * h.0.ln_1}, {@code ln_f}, {@code lm_head}), and those in which they differ.
 *
 * @param queryKeyValue after the layer, such as {@code attn.c_attn}
 * @param dense the attention's output projection
 * @param in the MLP's first matrix
 * @param out the MLP's second matrix
 */
record GptNames(String queryKeyValue, String dense, String in, String out) {
  static final String PREFIX = "transformer.";
  static final String HEAD = "lm_head";

  private static final Pattern LAYER = Pattern.compile("layers\\.(\\d+)\\.(.+)\\.(weight|bias)");

  /** Causal masks, sinusoids and the value of a masked score. */
  private static final Pattern BUFFER =
      Pattern.compile("h\\.\\d+\\.attn\\.(attention\\.)?(bias|masked_bias|embed_positions)");

  String of(String canonical) {
    Matcher layer = LAYER.matcher(canonical);
    if (!layer.matches()) {
      return switch (canonical) {
        case "embed_in.weight" -> "wte.weight";
        case "embed_positions.weight" -> "wpe.weight";
        default ->
            canonical.replace("final_layer_norm.", "ln_f.").replace("embed_out.", HEAD + ".");
      };
    }
    String part =
        switch (layer.group(2)) {
          case "input_layernorm" -> "ln_1";
          case "post_attention_layernorm" -> "ln_2";
          case "attention.query_key_value" -> queryKeyValue;
          case "attention.dense" -> dense;
          case "mlp.dense_h_to_4h" -> in;
          case "mlp.dense_4h_to_h" -> out;
          default -> throw new IllegalArgumentException("no tensor " + canonical);
        };
    return "h." + layer.group(1) + "." + part + "." + layer.group(3);
  }

  static boolean isBuffer(String name) {
    return BUFFER.matcher(name).matches();
  }
}
