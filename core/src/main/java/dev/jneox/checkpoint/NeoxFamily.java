package dev.jneox.checkpoint;

import dev.jneox.model.Activation;
import dev.jneox.model.ModelConfig;
import dev.jneox.model.Position;
import dev.jneox.model.Residual;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * GPT-NeoX as HF transformers writes it (GPT-NeoX-20B, Pythia; Black et al. 2022): rotary
 * positions, parallel residual with two norms. The canonical names are its own.
 */
record NeoxFamily() implements Family {
  private static final double ROTARY_PCT = 0.25;
  private static final double ROTARY_BASE = 10000;

  @Override
  public String modelType() {
    return "gpt_neox";
  }

  @Override
  public String prefix() {
    return "gpt_neox.";
  }

  @Override
  public String head() {
    return "embed_out";
  }

  @Override
  public Stored stored(String canonical) {
    return Stored.same(canonical);
  }

  /** The causal mask and the rotary frequencies. */
  @Override
  public boolean isBuffer(String name) {
    return name.endsWith(".attention.bias")
        || name.endsWith(".attention.masked_bias")
        || name.endsWith(".rotary_emb.inv_freq");
  }

  @Override
  public int vocabSize(JsonObject json) {
    return json.integer("vocab_size", 50432, 1, Integer.MAX_VALUE);
  }

  @Override
  public ModelConfig config(JsonObject json, int usedVocab) {
    int hidden = json.integer("hidden_size", 6144, 1, MAX_WIDTH);
    int layers = json.integer("num_hidden_layers", 44, 1, MAX_LAYERS);
    int heads = Family.heads(json, "num_attention_heads", 64, hidden);
    boolean biases = json.flag("attention_bias", true);
    return new ModelConfig(
        vocabSize(json),
        usedVocab,
        hidden,
        layers,
        heads,
        json.integer("intermediate_size", 24576, 1, 16 * MAX_WIDTH),
        json.integer("max_position_embeddings", 2048, 1, MAX_POSITIONS),
        rotary(json, hidden / heads),
        json.flag("use_parallel_residual", true) ? Residual.PARALLEL : Residual.SERIAL,
        Family.activation(json, "hidden_act", Activation.GELU),
        json.positive("layer_norm_eps", 1e-5),
        ModelConfig.everywhere(layers),
        true,
        biases,
        biases,
        false,
        json.flag("tie_word_embeddings", false),
        Family.endOfText(json, 2));
  }

  /**
   * New folders have {@code rope_parameters}, old ones {@code rotary_pct}, {@code rotary_emb_base}
   * and {@code rope_scaling}.
   */
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
      String expected =
          "a share of the head's " + headDim + " dimensions that makes an even number from 2";
      throw rope != null && rope.has("partial_rotary_factor")
          ? rope.unsupported("partial_rotary_factor", expected)
          : json.unsupported("rotary_pct", expected);
    }
    return new Position.Rotary(dims, base, false);
  }

  @Override
  public boolean expresses(ModelConfig config) {
    return config.position() instanceof Position.Rotary rotary
        && !rotary.interleaved()
        && config.residual() != Residual.PARALLEL_ONE_NORM
        && config.windows().stream().allMatch(w -> w == 0)
        && config.scaledAttention()
        && config.qkvBias() == config.denseBias()
        && !config.headBias();
  }

  /** The rotary values are in both spellings, so that old and new transformers agree. */
  @Override
  public Map<String, Object> json(ModelConfig config, String dtype) {
    Position.Rotary rotary = (Position.Rotary) config.position();
    double pct = rotaryPct(rotary.dims(), config.headDim());
    Map<String, Object> rope = new LinkedHashMap<>();
    rope.put("rope_type", "default");
    rope.put("rope_theta", rotary.base());
    rope.put("partial_rotary_factor", pct);

    Map<String, Object> json = Family.common("GPTNeoXForCausalLM", modelType(), config, dtype);
    json.put("hidden_size", config.hiddenSize());
    json.put("num_hidden_layers", config.layers());
    json.put("num_attention_heads", config.heads());
    json.put("intermediate_size", config.intermediateSize());
    json.put("max_position_embeddings", config.maxPositions());
    json.put("hidden_act", config.activation().hfName());
    json.put("layer_norm_eps", config.layerNormEps());
    json.put("use_parallel_residual", config.residual() == Residual.PARALLEL);
    json.put("attention_bias", config.qkvBias());
    json.put("rotary_pct", pct);
    json.put("rotary_emb_base", rotary.base());
    json.put("rope_parameters", rope);
    return json;
  }

  /** The share that gives back {@code dims} when a reader truncates the product to an integer. */
  private static double rotaryPct(int dims, int headDim) {
    double pct = (double) dims / headDim;
    return ModelConfig.rotaryDims(headDim, pct) == dims ? pct : Math.nextUp(pct);
  }
}
