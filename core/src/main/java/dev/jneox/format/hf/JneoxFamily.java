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
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Maps any {@link ModelSpec} of equal layers, with every property written out and canonical tensor
 * names. It is for models that no family of transformers can express, such as GPT-3 (Brown et al.
 * 2020: GPT-2 with a window in every other layer) or learned positions with a parallel residual.
 * transformers does not have the type {@code jneox} and rejects such a folder instead of computing
 * something else.
 */
record JneoxFamily() implements Family {
  private static final String LAYER_NORM = "layer_norm";
  private static final String RMS_NORM = "rms_norm";
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
  public List<TensorExpression> tensors(ModelSpec spec) {
    return CanonicalNames.of(spec);
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
  public ModelSpec spec(JsonObject json, int usedVocab) {
    for (String key : json(ModelSpec.neox(1, 8, 1, 1, 1), "").keySet()) {
      if (!json.has(key) && !OPTIONAL.contains(key)) {
        throw json.unsupported(key, "a value: folders of this type leave nothing to be guessed");
      }
    }
    int hidden = json.integer("hidden_size", 0, 1, MAX_WIDTH);
    int layers = json.integer("num_hidden_layers", 0, 1, MAX_LAYERS);
    boolean free = json.has("head_dim");
    int heads =
        free
            ? json.integer("num_attention_heads", 0, 1, MAX_WIDTH)
            : Family.heads(json, "num_attention_heads", 0, hidden);
    int headDim = free ? json.integer("head_dim", 0, 1, MAX_WIDTH) : hidden / heads;
    JsonObject position = json.object("position").orElseThrow();
    double scale =
        json.has("attention_scale")
            ? json.positive("attention_scale", 1)
            : json.flag("scaled_attention", true) ? Attention.scaleOf(headDim) : 1;
    Norm norm = norm(json);
    return ModelSpec.of(
            new Vocabulary(vocabSize(json), usedVocab, Family.endOfText(json, -1)),
            hidden,
            new Embedding(position.text("type").equals(Optional.of("learned"))),
            layers,
            new BlockSpec(
                residual(json, norm),
                new Attention(
                    heads,
                    json.integer("num_key_value_heads", heads, 1, MAX_WIDTH),
                    headDim,
                    position(position),
                    0,
                    scale,
                    json.flag("query_key_value_bias", true),
                    json.flag("dense_bias", true)),
                feedForward(json)),
            new Head(json.flag("tie_word_embeddings", false), json.flag("head_bias", false)),
            json.integer("max_position_embeddings", 0, 1, MAX_POSITIONS))
        .withWindows(windows(json, layers));
  }

  private static Norm norm(JsonObject json) {
    double eps = json.positive("layer_norm_eps", 0);
    return switch (json.text("norm").orElse(LAYER_NORM)) {
      case LAYER_NORM -> new Norm.Layer(eps);
      case RMS_NORM -> new Norm.Rms(eps);
      default -> throw json.unsupported("norm", LAYER_NORM + " or " + RMS_NORM);
    };
  }

  private static FeedForward feedForward(JsonObject json) {
    int width = json.integer("intermediate_size", 0, 1, 16 * MAX_WIDTH);
    boolean bias = json.flag("mlp_bias", true);
    Activation activation =
        json.text("hidden_act")
            .flatMap(Activation::ofHf)
            .orElseThrow(() -> json.unsupported("hidden_act", "gelu, gelu_new or silu"));
    return json.flag("gated_mlp", false)
        ? new FeedForward.Gated(width, activation, bias)
        : new FeedForward.Plain(width, activation, bias);
  }

  private static Position position(JsonObject json) {
    return switch (json.text("type").orElse("")) {
      case "learned", "none" -> new Position.None();
      case "rotary" ->
          new Position.Rotary(
              json.integer("dims", 0, 2, MAX_WIDTH),
              json.positive("base", 10000),
              json.flag("interleaved", false));
      default -> throw json.unsupported("type", "learned, rotary or none");
    };
  }

  private static Residual residual(JsonObject json, Norm norm) {
    return switch (json.text("residual").orElse("")) {
      case "serial" -> new Residual.Serial(norm, norm);
      case "parallel" -> new Residual.Parallel(norm, norm);
      case "parallel_one_norm" -> new Residual.ParallelOneNorm(norm);
      default -> throw json.unsupported("residual", "serial, parallel or parallel_one_norm");
    };
  }

  private static String name(Residual residual) {
    return switch (residual) {
      case Residual.Serial serial -> "serial";
      case Residual.Parallel parallel -> "parallel";
      case Residual.ParallelOneNorm one -> "parallel_one_norm";
    };
  }

  private static List<Integer> windows(JsonObject json, int layers) {
    JsonNode node = json.node("attention_windows").orElseThrow();
    List<Integer> windows = new ArrayList<>();
    if (node.isArray() && node.size() == layers) {
      node.forEach(w -> windows.add(w.isInt() ? w.intValue() : -1));
    }
    if (windows.size() != layers || windows.stream().anyMatch(w -> w < 0)) {
      throw json.unsupported(
          "attention_windows",
          "for each of " + layers + " layers the positions it sees, 0 for all");
    }
    return windows;
  }

  @Override
  public boolean expresses(ModelSpec spec) {
    return spec.isUniform()
        && Family.hasOneNorm(spec)
        && !(spec.embedding().learnedPositions()
            && spec.first().attention().position() instanceof Position.Rotary);
  }

  /**
   * Builds the configuration. Keys that the first version of the format did not have are written
   * only where needed.
   */
  @Override
  public Map<String, Object> json(ModelSpec spec, String dtype) {
    Attention attention = spec.first().attention();
    FeedForward feedForward = spec.first().feedForward();
    Map<String, Object> position = new LinkedHashMap<>();
    switch (attention.position()) {
      case Position.None() ->
          position.put("type", spec.embedding().learnedPositions() ? "learned" : "none");
      case Position.Rotary(int dims, double base, boolean interleaved) -> {
        position.put("type", "rotary");
        position.put("dims", dims);
        position.put("base", base);
        position.put("interleaved", interleaved);
      }
    }
    Map<String, Object> json = Family.common("JNeoX", modelType(), spec, dtype);
    json.put("hidden_size", spec.width());
    json.put("num_hidden_layers", spec.layers());
    json.put("num_attention_heads", attention.heads());
    json.put("intermediate_size", feedForward.width());
    json.put("max_position_embeddings", spec.maxPositions());
    json.put("position", position);
    json.put("residual", name(spec.first().residual()));
    json.put("hidden_act", feedForward.activation().hfName());
    json.put("layer_norm_eps", spec.finalNorm().eps());
    json.put("attention_windows", spec.windows());
    json.put("scaled_attention", attention.isScaled());
    json.put("query_key_value_bias", attention.qkvBias());
    json.put("dense_bias", attention.outBias());
    json.put("head_bias", spec.head().bias());
    if (attention.queryWidth() != spec.width()) {
      json.put("head_dim", attention.headDim());
    }
    if (attention.groupSize() > 1) {
      json.put("num_key_value_heads", attention.kvHeads());
    }
    if (!attention.isScaled() && attention.scale() != 1) {
      json.put("attention_scale", attention.scale());
    }
    if (spec.finalNorm() instanceof Norm.Rms) {
      json.put("norm", RMS_NORM);
    }
    if (feedForward.isGated()) {
      json.put("gated_mlp", true);
    }
    if (!feedForward.bias()) {
      json.put("mlp_bias", false);
    }
    return json;
  }
}
