package dev.jneox.checkpoint;

import com.fasterxml.jackson.databind.JsonNode;
import dev.jneox.model.ModelConfig;
import dev.jneox.model.Position;
import dev.jneox.model.Residual;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;

/**
 * Every {@link ModelConfig}, written out, with the canonical tensors as they are: for what no
 * family of transformers can say, such as GPT-3's shape (Brown et al. 2020: GPT-2 whose every other
 * layer sees a window) or learned positions with a parallel residual. transformers does not know
 * the type {@code jneox} and refuses such a folder, rather than computing something else.
 */
record JneoxFamily() implements Family {
  private static final Set<String> OPTIONAL =
      Set.of("architectures", "bos_token_id", "eos_token_id", "dtype", "torch_dtype", "use_cache");

  @Override
  public String modelType() {
    return HfFolder.OWN_TYPE;
  }

  @Override
  public String prefix() {
    return "";
  }

  @Override
  public String head() {
    return "embed_out";
  }

  @Override
  public Stored stored(String canonical) {
    return Stored.same(canonical);
  }

  @Override
  public boolean isBuffer(String name) {
    return false;
  }

  @Override
  public int vocabSize(JsonObject json) {
    return json.integer("vocab_size", 0, 1, Integer.MAX_VALUE);
  }

  @Override
  public ModelConfig config(JsonObject json, int usedVocab) {
    for (String key : json(ModelConfig.neox(1, 8, 1, 1, 1), "").keySet()) {
      if (!json.has(key) && !OPTIONAL.contains(key)) {
        throw json.unsupported(key, "a value: folders of this type leave nothing to be guessed");
      }
    }
    int hidden = json.integer("hidden_size", 0, 1, MAX_WIDTH);
    int layers = json.integer("num_hidden_layers", 0, 1, MAX_LAYERS);
    return new ModelConfig(
        vocabSize(json),
        usedVocab,
        hidden,
        layers,
        Family.heads(json, "num_attention_heads", 0, hidden),
        json.integer("intermediate_size", 0, 1, 16 * MAX_WIDTH),
        json.integer("max_position_embeddings", 0, 1, MAX_POSITIONS),
        position(json.object("position")),
        residual(json),
        Family.activation(json, "hidden_act", null),
        json.positive("layer_norm_eps", 0),
        windows(json, layers),
        json.flag("scaled_attention", true),
        json.flag("query_key_value_bias", true),
        json.flag("dense_bias", true),
        json.flag("head_bias", false),
        json.flag("tie_word_embeddings", false),
        Family.endOfText(json, -1));
  }

  private static Position position(JsonObject json) {
    return switch (String.valueOf(json.text("type"))) {
      case "learned" -> new Position.Learned();
      case "rotary" ->
          new Position.Rotary(
              json.integer("dims", 0, 2, MAX_WIDTH),
              json.positive("base", 10000),
              json.flag("interleaved", false));
      default -> throw json.unsupported("type", "learned or rotary");
    };
  }

  private static Residual residual(JsonObject json) {
    String name = json.text("residual");
    for (Residual residual : Residual.values()) {
      if (lower(residual).equals(name)) {
        return residual;
      }
    }
    throw json.unsupported("residual", "serial, parallel or parallel_one_norm");
  }

  private static String lower(Residual residual) {
    return residual.name().toLowerCase(Locale.ROOT);
  }

  private static List<Integer> windows(JsonObject json, int layers) {
    JsonNode node = json.node("attention_windows");
    List<Integer> windows = new ArrayList<>();
    if (node.isArray() && node.size() == layers) {
      node.forEach(w -> windows.add(w.isInt() && w.intValue() >= 0 ? w.intValue() : null));
    }
    if (windows.size() != layers || windows.contains(null)) {
      throw json.unsupported(
          "attention_windows",
          "for each of " + layers + " layers the positions it sees, 0 for all");
    }
    return windows;
  }

  @Override
  public boolean expresses(ModelConfig config) {
    return true;
  }

  @Override
  public Map<String, Object> json(ModelConfig config, String dtype) {
    Map<String, Object> position = new LinkedHashMap<>();
    switch (config.position()) {
      case Position.Learned() -> position.put("type", "learned");
      case Position.Rotary(int dims, double base, boolean interleaved) -> {
        position.put("type", "rotary");
        position.put("dims", dims);
        position.put("base", base);
        position.put("interleaved", interleaved);
      }
    }
    Map<String, Object> json = Family.common("JNeoX", modelType(), config, dtype);
    json.put("hidden_size", config.hiddenSize());
    json.put("num_hidden_layers", config.layers());
    json.put("num_attention_heads", config.heads());
    json.put("intermediate_size", config.intermediateSize());
    json.put("max_position_embeddings", config.maxPositions());
    json.put("position", position);
    json.put("residual", lower(config.residual()));
    json.put("hidden_act", config.activation().hfName());
    json.put("layer_norm_eps", config.layerNormEps());
    json.put("attention_windows", config.windows());
    json.put("scaled_attention", config.scaledAttention());
    json.put("query_key_value_bias", config.qkvBias());
    json.put("dense_bias", config.denseBias());
    json.put("head_bias", config.headBias());
    return json;
  }
}
