package dev.jneox.format.neox;

import dev.jneox.format.hf.HfFolder;
import dev.jneox.format.hf.NeoxFamily;
import dev.jneox.model.Activation;
import dev.jneox.model.Attention;
import dev.jneox.model.FeedForward;
import dev.jneox.model.ModelSpec;
import dev.jneox.model.Norm;
import dev.jneox.model.Position;
import dev.jneox.weights.Dtype;
import java.math.BigDecimal;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Writes a model's configuration with GPT-NeoX's keys, and the other keys that its loader requires.
 */
record NeoxYaml(ModelSpec spec, Dtype dtype, int ranks) {
  /** GPT-NeoX's default multiple for padding a vocabulary. */
  private static final int USUAL_MULTIPLE = 128;

  /**
   * Finds a {@code make_vocab_size_divisible_by} with which GPT-NeoX pads the used vocabulary to
   * exactly the rows of the model: the default where it does, else one rank's rows.
   */
  static int vocabMultiple(ModelSpec spec, int ranks) {
    long multiple = (long) USUAL_MULTIPLE * ranks;
    boolean usual =
        Math.ceilDiv(spec.vocabulary().used(), multiple) * multiple == spec.vocabulary().rows();
    return usual ? USUAL_MULTIPLE : spec.vocabulary().rows() / ranks;
  }

  /**
   * Formats the YAML file.
   *
   * @param newNames for versions that have {@code linear1}; older ones reject the keys that came
   *     later
   */
  String text(boolean newNames) {
    Attention attention = spec.first().attention();
    FeedForward feedForward = spec.first().feedForward();
    Map<String, String> keys = new LinkedHashMap<>();
    keys.put("num_layers", String.valueOf(spec.layers()));
    keys.put("hidden_size", String.valueOf(spec.width()));
    keys.put("num_attention_heads", String.valueOf(attention.heads()));
    if (attention.groupSize() > 1) {
      keys.put("num_kv_heads", String.valueOf(attention.kvHeads()));
    }
    if (feedForward.isGated()) {
      // GPT-NeoX takes two thirds of it and rounds them to a multiple.
      keys.put("intermediate_size", String.valueOf(3L * feedForward.width()));
      keys.put("mlp_multiple_of", String.valueOf(feedForward.width()));
    } else if (feedForward.width() != 4 * spec.width()) {
      keys.put("intermediate_size", String.valueOf(feedForward.width()));
    }
    keys.put("seq_length", String.valueOf(spec.maxPositions()));
    keys.put("max_position_embeddings", String.valueOf(spec.maxPositions()));
    boolean rms = spec.finalNorm() instanceof Norm.Rms;
    keys.put("norm", rms ? "rmsnorm" : "layernorm");
    keys.put(rms ? "rms_norm_epsilon" : "layernorm_epsilon", plain(spec.finalNorm().eps()));
    if (attention.position() instanceof Position.Rotary rotary) {
      keys.put("pos_emb", "rotary");
      keys.put("rotary_pct", String.valueOf(rotaryPct(rotary)));
      keys.put("rotary_emb_base", plain(rotary.base()));
    } else {
      keys.put("pos_emb", "learned");
    }
    keys.put("gpt_j_residual", String.valueOf(!spec.first().residual().isSerial()));
    keys.put("gpt_j_tied", String.valueOf(spec.first().residual().sharesNorm()));
    keys.put("no_weight_tying", String.valueOf(!spec.head().tied()));
    keys.put("activation", NeoxSettings.activation(feedForward));
    keys.put("bias_gelu_fusion", String.valueOf(feedForward.activation() == Activation.GELU_TANH));
    if (!feedForward.bias()) {
      keys.put("use_bias_in_mlp", "false");
    }
    if (!attention.qkvBias()) {
      keys.put("use_bias_in_attn_linear", "false");
    }
    keys.put("make_vocab_size_divisible_by", String.valueOf(vocabMultiple(spec, ranks)));
    keys.put("tokenizer_type", "HFTokenizer");
    keys.put("vocab_file", HfFolder.TOKENIZER);
    keys.put("model_parallel_size", String.valueOf(ranks));
    keys.put("pipe_parallel_size", "1");
    if (dtype == Dtype.F16) {
      keys.put("fp16", "{enabled: true}");
    } else if (dtype == Dtype.BF16) {
      keys.put(
          newNames ? "bf16" : "fp16",
          newNames ? "{enabled: true}" : "{enabled: true, type: bfloat16}");
    }
    keys.put("train_micro_batch_size_per_gpu", "1");
    keys.put("train_iters", "1");
    keys.put("optimizer", "{type: Adam, params: {lr: 0.0001}}");
    keys.put("no_load_optim", "true");
    keys.put("no_load_rng", "true");
    StringBuilder text = new StringBuilder();
    text.append(
        "# Written by JNeoX in GPT-NeoX's keys. Put the folder of global_step* under load and the"
            + " tokenizer's path\n");
    text.append(
        "# under vocab_file; what follows model_parallel_size is only what the loader asks for.\n");
    keys.forEach((key, value) -> text.append(key).append(": ").append(value).append('\n'));
    return text.toString();
  }

  /**
   * Computes a share from which a reader that truncates the product gets exactly the dimensions.
   */
  private double rotaryPct(Position.Rotary rotary) {
    return NeoxFamily.rotaryPct(rotary.dims(), spec.first().attention().headDim());
  }

  /**
   * Formats a number without an exponent, which YAML 1.1 and YAML 1.2 read differently; whole
   * numbers as integers.
   */
  private static String plain(double number) {
    return BigDecimal.valueOf(number).stripTrailingZeros().toPlainString();
  }
}
