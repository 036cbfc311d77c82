package dev.jneox.checkpoint;

import dev.jneox.model.Activation;
import dev.jneox.model.ModelConfig;
import dev.jneox.model.Position;
import dev.jneox.model.Residual;
import java.util.List;
import java.util.Map;

/**
 * GPT-J (Wang and Komatsuzaki 2021): rotary pairs side by side, one norm for attention and MLP, a
 * head with a bias.
 */
record GptJFamily() implements Family {
  private static final GptNames NAMES =
      new GptNames("attn.q_proj", "attn.out_proj", "mlp.fc_in", "mlp.fc_out");
  private static final int MLP = 4;
  private static final double ROTARY_BASE = 10000;

  @Override
  public String modelType() {
    return "gptj";
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
    String name = NAMES.of(canonical);
    return canonical.contains(".query_key_value.")
        ? new Stored(
            Layout.THREE,
            List.of(name, name.replace("q_proj", "k_proj"), name.replace("q_proj", "v_proj")))
        : Stored.same(name);
  }

  @Override
  public boolean isBuffer(String name) {
    return GptNames.isBuffer(name);
  }

  @Override
  public int vocabSize(JsonObject json) {
    return json.integer("vocab_size", 50400, 1, Integer.MAX_VALUE);
  }

  @Override
  public ModelConfig config(JsonObject json, int usedVocab) {
    if (!json.flag("rotary", true)) {
      throw json.unsupported("rotary", "true");
    }
    int hidden = json.integer(json.spelled("n_embd", "hidden_size"), 4096, 1, MAX_WIDTH);
    int layers = json.integer(json.spelled("n_layer", "num_hidden_layers"), 28, 1, MAX_LAYERS);
    int heads = Family.heads(json, json.spelled("n_head", "num_attention_heads"), 16, hidden);
    int rotaryDims = json.integer("rotary_dim", 64, 0, MAX_WIDTH);
    if (rotaryDims < 2 || rotaryDims > hidden / heads || rotaryDims % 2 != 0) {
      throw json.unsupported("rotary_dim", "an even number from 2 to the head's " + hidden / heads);
    }
    return new ModelConfig(
        vocabSize(json),
        usedVocab,
        hidden,
        layers,
        heads,
        json.has("n_inner") ? json.integer("n_inner", 0, 1, 16 * MAX_WIDTH) : MLP * hidden,
        Gpt2Family.positions(json, 2048),
        new Position.Rotary(rotaryDims, ROTARY_BASE, true),
        Residual.PARALLEL_ONE_NORM,
        Family.activation(json, "activation_function", Activation.GELU_TANH),
        json.positive("layer_norm_epsilon", 1e-5),
        ModelConfig.everywhere(layers),
        true,
        false,
        false,
        true,
        json.flag("tie_word_embeddings", false),
        Family.endOfText(json, 50256));
  }

  @Override
  public boolean expresses(ModelConfig config) {
    return config.position() instanceof Position.Rotary rotary
        && rotary.interleaved()
        && rotary.base() == ROTARY_BASE
        && config.residual() == Residual.PARALLEL_ONE_NORM
        && config.windows().stream().allMatch(w -> w == 0)
        && config.scaledAttention()
        && !config.qkvBias()
        && !config.denseBias()
        && config.headBias();
  }

  @Override
  public Map<String, Object> json(ModelConfig config, String dtype) {
    Map<String, Object> json = Family.common("GPTJForCausalLM", modelType(), config, dtype);
    json.put("n_embd", config.hiddenSize());
    json.put("n_layer", config.layers());
    json.put("n_head", config.heads());
    json.put("n_inner", config.intermediateSize());
    json.put("n_positions", config.maxPositions());
    json.put("rotary", true);
    json.put("rotary_dim", ((Position.Rotary) config.position()).dims());
    json.put("activation_function", config.activation().hfName());
    json.put("layer_norm_epsilon", config.layerNormEps());
    return json;
  }
}
