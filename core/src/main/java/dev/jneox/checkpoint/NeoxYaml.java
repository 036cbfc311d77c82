package dev.jneox.checkpoint;

import dev.jneox.model.Activation;
import dev.jneox.model.ModelConfig;
import dev.jneox.model.Position;
import dev.jneox.model.Residual;
import java.math.BigDecimal;
import java.util.LinkedHashMap;
import java.util.Map;

/** A model's configuration in GPT-NeoX's keys, with what its loader asks for besides. */
record NeoxYaml(ModelConfig config, Dtype dtype, int ranks) {
  /** What GPT-NeoX pads a vocabulary to unless told. */
  private static final int USUAL_MULTIPLE = 128;

  /**
   * A {@code make_vocab_size_divisible_by} with which GPT-NeoX pads the used vocabulary to just the
   * rows that there are: the usual one where it does, else one rank's rows.
   */
  static int vocabMultiple(ModelConfig config, int ranks) {
    long multiple = (long) USUAL_MULTIPLE * ranks;
    boolean usual = Math.ceilDiv(config.usedVocab(), multiple) * multiple == config.vocabSize();
    return usual ? USUAL_MULTIPLE : config.vocabSize() / ranks;
  }

  /**
   * The YAML file.
   *
   * @param newNames for versions that have {@code linear1}; older ones do not know the keys that
   *     came later
   */
  String text(boolean newNames) {
    Map<String, String> keys = new LinkedHashMap<>();
    keys.put("num_layers", String.valueOf(config.layers()));
    keys.put("hidden_size", String.valueOf(config.hiddenSize()));
    keys.put("num_attention_heads", String.valueOf(config.heads()));
    if (config.intermediateSize() != 4 * config.hiddenSize()) {
      keys.put("intermediate_size", String.valueOf(config.intermediateSize()));
    }
    keys.put("seq_length", String.valueOf(config.maxPositions()));
    keys.put("max_position_embeddings", String.valueOf(config.maxPositions()));
    keys.put("norm", "layernorm");
    keys.put("layernorm_epsilon", plain(config.layerNormEps()));
    if (config.position() instanceof Position.Rotary rotary) {
      keys.put("pos_emb", "rotary");
      keys.put("rotary_pct", String.valueOf(rotaryPct(rotary)));
      keys.put("rotary_emb_base", plain(rotary.base()));
    } else {
      keys.put("pos_emb", "learned");
    }
    keys.put("gpt_j_residual", String.valueOf(config.residual() != Residual.SERIAL));
    keys.put("gpt_j_tied", String.valueOf(config.residual() == Residual.PARALLEL_ONE_NORM));
    keys.put("no_weight_tying", String.valueOf(!config.tiedHead()));
    keys.put("activation", "gelu");
    keys.put("bias_gelu_fusion", String.valueOf(config.activation() == Activation.GELU_TANH));
    if (!config.qkvBias()) {
      keys.put("use_bias_in_attn_linear", "false");
    }
    keys.put("make_vocab_size_divisible_by", String.valueOf(vocabMultiple(config, ranks)));
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

  /** The share that gives back the dimensions when a reader truncates the product to an integer. */
  private double rotaryPct(Position.Rotary rotary) {
    double pct = (double) rotary.dims() / config.headDim();
    return ModelConfig.rotaryDims(config.headDim(), pct) == rotary.dims() ? pct : Math.nextUp(pct);
  }

  /**
   * Without an exponent, which YAML 1.1 and YAML 1.2 read differently; whole numbers as integers.
   */
  private static String plain(double number) {
    return BigDecimal.valueOf(number).stripTrailingZeros().toPlainString();
  }
}
