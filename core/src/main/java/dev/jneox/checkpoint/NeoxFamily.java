package dev.jneox.checkpoint;

import dev.jneox.model.Activation;
import dev.jneox.model.ModelConfig;
import dev.jneox.model.Position;
import dev.jneox.model.Residual;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * GPT-NeoX as HF transformers writes it (GPT-NeoX-20B, Pythia): how its {@code config.json} and tensor names map onto
 * {@link ModelConfig}. Absent keys have the values of transformers' {@code GPTNeoXConfig}.
 */
final class NeoxFamily {
  static final String MODEL_TYPE = "gpt_neox";

  private static final String PREFIX = "gpt_neox.";
  private static final String HEAD = "embed_out.";
  private static final double ROTARY_PCT = 0.25;
  private static final double ROTARY_BASE = 10000;

  // Bounds far above any model, so that a broken file is named before memory is asked for.
  private static final int MAX_WIDTH = 1 << 20;
  private static final int MAX_LAYERS = 1 << 14;

  int vocabSize(JsonObject json) {
    return json.integer("vocab_size", 50432, 1, Integer.MAX_VALUE);
  }

  /**
   * @param usedVocab how many ids mean something, at most {@link #vocabSize}
   */
  ModelConfig config(JsonObject json, int usedVocab) {
    int hidden = json.integer("hidden_size", 6144, 1, MAX_WIDTH);
    int layers = json.integer("num_hidden_layers", 44, 1, MAX_LAYERS);
    int heads = json.integer("num_attention_heads", 64, 1, MAX_WIDTH);
    if (hidden % heads != 0) {
      throw json.unsupported("num_attention_heads", "a divisor of hidden_size " + hidden);
    }
    boolean biases = json.flag("attention_bias", true);
    return new ModelConfig(
        vocabSize(json),
        usedVocab,
        hidden,
        layers,
        heads,
        json.integer("intermediate_size", 24576, 1, 16 * MAX_WIDTH),
        json.integer("max_position_embeddings", 2048, 1, Integer.MAX_VALUE),
        rotary(json, hidden / heads),
        json.flag("use_parallel_residual", true) ? Residual.PARALLEL : Residual.SERIAL,
        activation(json),
        json.positive("layer_norm_eps", 1e-5),
        ModelConfig.everywhere(layers),
        true,
        biases,
        biases,
        false,
        json.flag("tie_word_embeddings", false),
        json.firstInteger("eos_token_id", 2, -1, 0, Integer.MAX_VALUE));
  }

  private static Activation activation(JsonObject json) {
    String name = json.text("hidden_act");
    Activation activation = name == null ? Activation.GELU : Activation.ofHf(name);
    if (activation == null) {
      throw json.unsupported("hidden_act", "gelu, gelu_new, gelu_fast or gelu_pytorch_tanh");
    }
    return activation;
  }

  /** New folders have {@code rope_parameters}, old ones {@code rotary_pct}, {@code rotary_emb_base} and {@code rope_scaling}. */
  private static Position.Rotary rotary(JsonObject json, int headDim) {
    double pct = json.positive("rotary_pct", ROTARY_PCT);
    double base = json.positive("rotary_emb_base", ROTARY_BASE);
    // In transformers' order: a scaling that is given stands for the parameters.
    String key = json.has("rope_scaling") ? "rope_scaling" : "rope_parameters";
    JsonObject rope = json.object(key);
    if (rope != null) {
      for (String type : new String[] {"rope_type", "type"}) {
        if (rope.has(type) && !"default".equals(rope.text(type))) {
          throw rope.unsupported(type, "default (scaled rotary embeddings are not supported)");
        }
      }
      pct = rope.positive("partial_rotary_factor", pct);
      base = rope.positive("rope_theta", base);
    }
    int dims = pct <= 1 ? ModelConfig.rotaryDims(headDim, pct) : 0;
    if (dims < 2 || dims % 2 != 0) {
      String expected = "a share of the head's " + headDim + " dimensions that makes an even number from 2";
      throw rope != null && rope.has("partial_rotary_factor")
          ? rope.unsupported("partial_rotary_factor", expected)
          : json.unsupported("rotary_pct", expected);
    }
    return new Position.Rotary(dims, base, false);
  }

  /** The name in the file of a canonical one. */
  String hfName(String canonical) {
    return canonical.startsWith(HEAD) ? canonical : PREFIX + canonical;
  }

  /** Buffers that older transformers saved beside the weights: the causal mask and the rotary frequencies. */
  boolean isBuffer(String hfName) {
    return hfName.endsWith(".attention.bias")
        || hfName.endsWith(".attention.masked_bias")
        || hfName.endsWith(".rotary_emb.inv_freq");
  }

  /**
   * The content of a {@code config.json}, with the rotary values in both spellings, so that old and new transformers agree.
   *
   * @throws IllegalArgumentException when the model is not a GPT-NeoX
   */
  Map<String, Object> json(ModelConfig config, String dtype) {
    boolean neox =
        config.position() instanceof Position.Rotary rotary
            && !rotary.interleaved()
            && config.residual() != Residual.PARALLEL_ONE_NORM
            && config.windows().stream().allMatch(w -> w == 0)
            && config.scaledAttention()
            && config.qkvBias() == config.denseBias()
            && !config.headBias();
    if (!neox) {
      throw new IllegalArgumentException("not a GPT-NeoX: " + config);
    }
    Position.Rotary rotary = (Position.Rotary) config.position();
    double pct = rotaryPct(rotary.dims(), config.headDim());
    Map<String, Object> rope = new LinkedHashMap<>();
    rope.put("rope_type", "default");
    rope.put("rope_theta", rotary.base());
    rope.put("partial_rotary_factor", pct);
    Integer eos = config.endOfText() < 0 ? null : config.endOfText();

    Map<String, Object> json = new LinkedHashMap<>();
    json.put("architectures", new String[] {"GPTNeoXForCausalLM"});
    json.put("model_type", MODEL_TYPE);
    json.put("vocab_size", config.vocabSize());
    json.put("hidden_size", config.hiddenSize());
    json.put("num_hidden_layers", config.layers());
    json.put("num_attention_heads", config.heads());
    json.put("intermediate_size", config.intermediateSize());
    json.put("max_position_embeddings", config.maxPositions());
    json.put("hidden_act", config.activation().hfName());
    json.put("layer_norm_eps", config.layerNormEps());
    json.put("use_parallel_residual", config.residual() == Residual.PARALLEL);
    json.put("attention_bias", config.qkvBias());
    json.put("tie_word_embeddings", config.tiedHead());
    json.put("rotary_pct", pct);
    json.put("rotary_emb_base", rotary.base());
    json.put("rope_parameters", rope);
    json.put("bos_token_id", eos);
    json.put("eos_token_id", eos);
    json.put("dtype", dtype);
    json.put("torch_dtype", dtype);
    json.put("use_cache", true);
    return json;
  }

  /** The share that gives back {@code dims} when a reader truncates the product to an integer. */
  private static double rotaryPct(int dims, int headDim) {
    double pct = (double) dims / headDim;
    return ModelConfig.rotaryDims(headDim, pct) == dims ? pct : Math.nextUp(pct);
  }
}
