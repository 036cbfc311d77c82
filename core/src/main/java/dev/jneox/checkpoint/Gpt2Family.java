package dev.jneox.checkpoint;

import dev.jneox.model.Activation;
import dev.jneox.model.ModelConfig;
import dev.jneox.model.Position;
import dev.jneox.model.Residual;
import java.util.List;
import java.util.Map;

/**
 * GPT-2 (Radford et al. 2019): learned positions, serial residual, weights as {@code [in, out]}.
 */
record Gpt2Family() implements Family {
  private static final GptNames NAMES =
      new GptNames("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj");
  private static final int MLP = 4;

  @Override
  public String modelType() {
    return "gpt2";
  }

  @Override
  public String prefix() {
    return GptNames.PREFIX;
  }

  @Override
  public String head() {
    return GptNames.HEAD;
  }

  @Override
  public Stored stored(String canonical) {
    boolean inLayer = canonical.startsWith("layers.");
    Layout layout =
        canonical.contains(".query_key_value.")
            ? Layout.COLUMNS
            : inLayer && canonical.endsWith(".weight") && !canonical.contains("layernorm")
                ? Layout.TRANSPOSED
                : Layout.SAME;
    return new Stored(layout, List.of(NAMES.of(canonical)));
  }

  @Override
  public boolean isBuffer(String name) {
    return GptNames.isBuffer(name);
  }

  @Override
  public int vocabSize(JsonObject json) {
    return json.integer("vocab_size", 50257, 1, Integer.MAX_VALUE);
  }

  @Override
  public ModelConfig config(JsonObject json, int usedVocab) {
    json.requireOff("scale_attn_by_inverse_layer_idx");
    json.requireOff("add_cross_attention");
    int hidden = json.integer(json.spelled("n_embd", "hidden_size"), 768, 1, MAX_WIDTH);
    int layers = json.integer(json.spelled("n_layer", "num_hidden_layers"), 12, 1, MAX_LAYERS);
    return new ModelConfig(
        vocabSize(json),
        usedVocab,
        hidden,
        layers,
        Family.heads(json, json.spelled("n_head", "num_attention_heads"), 12, hidden),
        json.has("n_inner") ? json.integer("n_inner", 0, 1, 16 * MAX_WIDTH) : MLP * hidden,
        positions(json, 1024),
        new Position.Learned(),
        Residual.SERIAL,
        Family.activation(json, "activation_function", Activation.GELU_TANH),
        json.positive("layer_norm_epsilon", 1e-5),
        ModelConfig.everywhere(layers),
        json.flag("scale_attn_weights", true),
        true,
        true,
        false,
        json.flag("tie_word_embeddings", true),
        Family.endOfText(json, 50256));
  }

  /**
   * {@code n_ctx} is how the first GPT-2 folders say it beside {@code n_positions}; alone it stands
   * for it.
   */
  static int positions(JsonObject json, int absent) {
    String key = json.spelled("n_positions", "max_position_embeddings");
    return json.integer(json.has(key) ? key : "n_ctx", absent, 1, MAX_POSITIONS);
  }

  @Override
  public boolean expresses(ModelConfig config) {
    return config.position() instanceof Position.Learned
        && config.residual() == Residual.SERIAL
        && config.windows().stream().allMatch(w -> w == 0)
        && config.qkvBias()
        && config.denseBias()
        && !config.headBias();
  }

  @Override
  public Map<String, Object> json(ModelConfig config, String dtype) {
    Map<String, Object> json = Family.common("GPT2LMHeadModel", modelType(), config, dtype);
    json.put("n_embd", config.hiddenSize());
    json.put("n_layer", config.layers());
    json.put("n_head", config.heads());
    json.put("n_inner", config.intermediateSize());
    json.put("n_positions", config.maxPositions());
    json.put("n_ctx", config.maxPositions());
    json.put("activation_function", config.activation().hfName());
    json.put("layer_norm_epsilon", config.layerNormEps());
    json.put("scale_attn_weights", config.scaledAttention());
    return json;
  }
}
