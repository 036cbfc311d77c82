package dev.jneox.checkpoint;

import com.fasterxml.jackson.databind.JsonNode;
import dev.jneox.model.Activation;
import dev.jneox.model.ModelConfig;
import dev.jneox.model.Position;
import dev.jneox.model.Residual;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * GPT-Neo (Black et al. 2021): learned positions, layers that see all and layers that see a window,
 * unscaled scores.
 */
record GptNeoFamily() implements Family {
  private static final GptNames NAMES =
      new GptNames("attn.attention.q_proj", "attn.attention.out_proj", "mlp.c_fc", "mlp.c_proj");
  private static final int MLP = 4;
  private static final int WINDOW = 256;

  @Override
  public String modelType() {
    return "gpt_neo";
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
    return json.integer("vocab_size", 50257, 1, Integer.MAX_VALUE);
  }

  @Override
  public ModelConfig config(JsonObject json, int usedVocab) {
    int hidden = json.integer("hidden_size", 2048, 1, MAX_WIDTH);
    int layers = json.integer(json.spelled("num_layers", "num_hidden_layers"), 24, 1, MAX_LAYERS);
    return new ModelConfig(
        vocabSize(json),
        usedVocab,
        hidden,
        layers,
        Family.heads(json, json.spelled("num_heads", "num_attention_heads"), 16, hidden),
        json.has("intermediate_size")
            ? json.integer("intermediate_size", 0, 1, 16 * MAX_WIDTH)
            : MLP * hidden,
        json.integer("max_position_embeddings", 2048, 1, MAX_POSITIONS),
        new Position.Learned(),
        Residual.SERIAL,
        Family.activation(json, "activation_function", Activation.GELU_TANH),
        json.positive("layer_norm_epsilon", 1e-5),
        windows(json, layers),
        false,
        false,
        true,
        false,
        json.flag("tie_word_embeddings", true),
        Family.endOfText(json, 50256));
  }

  /**
   * Of each layer. {@code attention_types} is {@code [[[types], times], ...]}, {@code
   * attention_layers} the same written out; where both are, they agree.
   */
  private static List<Integer> windows(JsonObject json, int layers) {
    int window = json.integer("window_size", WINDOW, 1, Integer.MAX_VALUE);
    JsonNode written = json.node("attention_layers");
    JsonNode folded = json.node("attention_types");
    List<Integer> windows = new ArrayList<>();
    if (folded == null && written == null) {
      for (int l = 0; l < layers; l++) {
        windows.add(l % 2 == 0 ? 0 : window);
      }
      return windows;
    }
    String key = folded == null ? "attention_layers" : "attention_types";
    if (folded == null) {
      addAll(windows, written, window, json, key);
    } else {
      for (JsonNode run : folded) {
        int times = run.path(1).isInt() ? run.path(1).intValue() : -1;
        if (run.size() != 2 || run.get(0).isEmpty() || times < 0 || times > layers) {
          throw json.unsupported(key, "[[[types], times], ...] for " + layers + " layers");
        }
        for (int i = 0; i < times && windows.size() <= layers; i++) {
          addAll(windows, run.path(0), window, json, key);
        }
      }
    }
    if (windows.size() != layers) {
      throw json.unsupported(key, "the types of " + layers + " layers");
    }
    if (folded != null && written != null) {
      List<Integer> again = new ArrayList<>();
      addAll(again, written, window, json, "attention_layers");
      if (!again.equals(windows)) {
        throw json.unsupported("attention_layers", "what attention_types says");
      }
    }
    return windows;
  }

  private static void addAll(
      List<Integer> windows, JsonNode types, int window, JsonObject json, String key) {
    if (!types.isArray()) {
      throw json.unsupported(key, "lists of types");
    }
    for (JsonNode type : types) {
      switch (type.asText()) {
        case "global" -> windows.add(0);
        case "local" -> windows.add(window);
        default -> throw json.unsupported(key, "global or local for each layer");
      }
    }
  }

  @Override
  public boolean expresses(ModelConfig config) {
    return config.position() instanceof Position.Learned
        && config.residual() == Residual.SERIAL
        && config.windows().stream().filter(w -> w != 0).distinct().count() <= 1
        && !config.scaledAttention()
        && !config.qkvBias()
        && config.denseBias()
        && !config.headBias();
  }

  @Override
  public Map<String, Object> json(ModelConfig config, String dtype) {
    List<String> types = config.windows().stream().map(w -> w == 0 ? "global" : "local").toList();
    Map<String, Object> json = Family.common("GPTNeoForCausalLM", modelType(), config, dtype);
    json.put("hidden_size", config.hiddenSize());
    json.put("num_layers", config.layers());
    json.put("num_heads", config.heads());
    json.put("intermediate_size", config.intermediateSize());
    json.put("max_position_embeddings", config.maxPositions());
    json.put("attention_types", List.of(List.of(types, 1)));
    json.put("attention_layers", types);
    json.put(
        "window_size", config.windows().stream().filter(w -> w != 0).findFirst().orElse(WINDOW));
    json.put("activation_function", config.activation().hfName());
    json.put("layer_norm_epsilon", config.layerNormEps());
    return json;
  }
}
