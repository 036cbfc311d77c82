package dev.jneox.format.hf;

import com.fasterxml.jackson.databind.JsonNode;
import dev.jneox.io.JsonObject;
import dev.jneox.model.Activation;
import dev.jneox.model.Attention;
import dev.jneox.model.BlockSpec;
import dev.jneox.model.Embedding;
import dev.jneox.model.FeedForward;
import dev.jneox.model.Head;
import dev.jneox.model.ModelSpec;
import dev.jneox.model.Norm;
import dev.jneox.model.Position;
import dev.jneox.model.Residual;
import dev.jneox.model.Vocabulary;
import dev.jneox.weights.CanonicalNames;
import dev.jneox.weights.TensorExpression;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Maps GPT-Neo (Black et al. 2021): learned positions, layers with global and with windowed
 * attention, unscaled scores.
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
  public List<TensorExpression> tensors(ModelSpec spec) {
    return CanonicalNames.tensors(spec, NAMES::of, query -> Optional.empty(), id -> false);
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
  public ModelSpec spec(JsonObject json, int usedVocab) {
    int hidden = json.integer("hidden_size", 2048, 1, MAX_WIDTH);
    int layers = json.integer(json.spelled("num_layers", "num_hidden_layers"), 24, 1, MAX_LAYERS);
    int heads = Family.heads(json, json.spelled("num_heads", "num_attention_heads"), 16, hidden);
    int inner =
        json.has("intermediate_size")
            ? json.integer("intermediate_size", 0, 1, 16 * MAX_WIDTH)
            : MLP * hidden;
    Norm norm = new Norm.Layer(json.positive("layer_norm_epsilon", 1e-5));
    BlockSpec block =
        new BlockSpec(
            new Residual.Serial(norm, norm),
            Attention.of(heads, hidden / heads, new Position.None())
                .withScale(1)
                .withBiases(false, true),
            new FeedForward.Plain(
                inner, Family.activation(json, "activation_function", Activation.GELU_TANH), true));
    return ModelSpec.of(
            new Vocabulary(vocabSize(json), usedVocab, Family.endOfText(json, 50256)),
            hidden,
            new Embedding(true),
            layers,
            block,
            new Head(json.flag("tie_word_embeddings", true), false),
            json.integer("max_position_embeddings", 2048, 1, MAX_POSITIONS))
        .withWindows(windows(json, layers));
  }

  /**
   * Reads the window of each layer. {@code attention_types} is {@code [[[types], times], ...]},
   * {@code attention_layers} the expanded list; where both are present, they must agree.
   */
  private static List<Integer> windows(JsonObject json, int layers) {
    int window = json.integer("window_size", WINDOW, 1, Integer.MAX_VALUE);
    JsonNode written = json.node("attention_layers").orElse(null);
    JsonNode folded = json.node("attention_types").orElse(null);
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
      List<Integer> windows, @Nullable JsonNode types, int window, JsonObject json, String key) {
    if (types == null || !types.isArray()) {
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
  public boolean expresses(ModelSpec spec) {
    BlockSpec block = spec.first();
    Attention attention = block.attention();
    return Family.isGpt(spec)
        && spec.embedding().learnedPositions()
        && attention.position() instanceof Position.None
        && block.residual().isSerial()
        && spec.windows().stream().filter(w -> w != 0).distinct().count() <= 1
        && attention.scale() == 1
        && !attention.qkvBias()
        && attention.outBias()
        && !spec.head().bias();
  }

  @Override
  public Map<String, Object> json(ModelSpec spec, String dtype) {
    BlockSpec block = spec.first();
    Attention attention = block.attention();
    List<String> types = spec.windows().stream().map(w -> w == 0 ? "global" : "local").toList();
    Map<String, Object> json = Family.common("GPTNeoForCausalLM", modelType(), spec, dtype);
    json.put("hidden_size", spec.width());
    json.put("num_layers", spec.layers());
    json.put("num_heads", attention.heads());
    json.put("intermediate_size", block.feedForward().width());
    json.put("max_position_embeddings", spec.maxPositions());
    json.put("attention_types", List.of(List.of(types, 1)));
    json.put("attention_layers", types);
    json.put("window_size", spec.windows().stream().filter(w -> w != 0).findFirst().orElse(WINDOW));
    json.put("activation_function", block.feedForward().activation().hfName());
    json.put("layer_norm_epsilon", spec.finalNorm().eps());
    return json;
  }
}
