package dev.jneox.format.hf;

import dev.jneox.io.JsonObject;
import dev.jneox.model.Activation;
import dev.jneox.model.Attention;
import dev.jneox.model.BlockSpec;
import dev.jneox.model.Embedding;
import dev.jneox.model.FeedForward;
import dev.jneox.model.Head;
import dev.jneox.model.ModelSpec;
import dev.jneox.model.Norm;
import dev.jneox.model.ParamId;
import dev.jneox.model.Position;
import dev.jneox.model.Residual;
import dev.jneox.model.Vocabulary;
import dev.jneox.weights.CanonicalNames;
import dev.jneox.weights.TensorExpression;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Maps Llama (Touvron et al. 2023) and the many models of its form: rotary over the whole head, RMS
 * norms, a gated MLP, heads that share keys and values, a separate head width.
 */
record LlamaFamily() implements Family {
  private static final double ROTARY_BASE = 10000;

  @Override
  public String modelType() {
    return "llama";
  }

  @Override
  public String prefix() {
    return "model.";
  }

  @Override
  public String head() {
    return "lm_head";
  }

  @Override
  public List<TensorExpression> tensors(ModelSpec spec) {
    return CanonicalNames.tensors(spec, LlamaFamily::name, query -> Optional.empty(), id -> false);
  }

  private static String name(ParamId id) {
    String part =
        switch (id.part()) {
          case EMBEDDING -> "embed_tokens";
          case ATTENTION_NORM -> "input_layernorm";
          case FEED_FORWARD_NORM -> "post_attention_layernorm";
          case QUERY -> "self_attn.q_proj";
          case KEY -> "self_attn.k_proj";
          case VALUE -> "self_attn.v_proj";
          case ATTENTION_OUT -> "self_attn.o_proj";
          case GATE -> "mlp.gate_proj";
          case UP -> "mlp.up_proj";
          case DOWN -> "mlp.down_proj";
          case FINAL_NORM -> "norm";
          case HEAD -> "lm_head";
          case POSITIONS -> throw new IllegalArgumentException("no tensor for " + id);
        };
    String layer = id.block() == ParamId.MODEL ? "" : "layers." + id.block() + ".";
    return layer + part + CanonicalNames.kind(id);
  }

  /** Returns whether a name is that of the rotary frequencies. */
  @Override
  public boolean isBuffer(String name) {
    return name.endsWith(".rotary_emb.inv_freq");
  }

  @Override
  public int vocabSize(JsonObject json) {
    return json.integer("vocab_size", 32000, 1, Integer.MAX_VALUE);
  }

  @Override
  public ModelSpec spec(JsonObject json, int usedVocab) {
    if (json.has("hidden_act") && !json.text("hidden_act").equals(Optional.of("silu"))) {
      throw json.unsupported("hidden_act", "silu");
    }
    int hidden = json.integer("hidden_size", 4096, 1, MAX_WIDTH);
    int layers = json.integer("num_hidden_layers", 32, 1, MAX_LAYERS);
    int heads = json.integer("num_attention_heads", 32, 1, MAX_WIDTH);
    int kvHeads = json.has("num_key_value_heads") ? kvHeads(json, heads) : heads;
    int headDim =
        json.has("head_dim")
            ? json.integer("head_dim", 0, 1, MAX_WIDTH)
            : hidden / Family.heads(json, "num_attention_heads", 32, hidden);
    if (headDim % 2 != 0) {
      throw json.has("head_dim")
          ? json.unsupported("head_dim", "an even number")
          : json.unsupported(
              "num_attention_heads", "heads of an even width, which " + headDim + " is not");
    }
    boolean biases = json.flag("attention_bias", false);
    Norm norm = new Norm.Rms(json.positive("rms_norm_eps", 1e-6));
    Position rotary = new Position.Rotary(headDim, rotaryBase(json), false);
    return ModelSpec.of(
        new Vocabulary(vocabSize(json), usedVocab, Family.endOfText(json, 2)),
        hidden,
        new Embedding(false),
        layers,
        new BlockSpec(
            new Residual.Serial(norm, norm),
            new Attention(
                heads, kvHeads, headDim, rotary, 0, Attention.scaleOf(headDim), biases, biases),
            new FeedForward.Gated(
                json.integer("intermediate_size", 11008, 1, 16 * MAX_WIDTH),
                Activation.SILU,
                json.flag("mlp_bias", false))),
        new Head(json.flag("tie_word_embeddings", false), false),
        json.integer("max_position_embeddings", 2048, 1, MAX_POSITIONS));
  }

  private static int kvHeads(JsonObject json, int heads) {
    int kvHeads = json.integer("num_key_value_heads", heads, 1, MAX_WIDTH);
    if (heads % kvHeads != 0) {
      throw json.unsupported(
          "num_key_value_heads", "a divisor of the " + heads + " num_attention_heads");
    }
    return kvHeads;
  }

  /**
   * Reads the rotary base. New folders have {@code rope_parameters}, old ones {@code rope_theta}
   * and a scaling.
   */
  private static double rotaryBase(JsonObject json) {
    double base = json.positive("rope_theta", ROTARY_BASE);
    // In transformers' order: a scaling overrides the parameters.
    JsonObject rope =
        json.object(json.has("rope_scaling") ? "rope_scaling" : "rope_parameters").orElse(null);
    if (rope == null) {
      return base;
    }
    for (String type : new String[] {"rope_type", "type"}) {
      if (rope.has(type) && !rope.text(type).equals(Optional.of("default"))) {
        throw rope.unsupported(type, "default (scaled rotary embeddings are not supported)");
      }
    }
    return rope.positive("rope_theta", base);
  }

  /**
   * Returns whether Llama expresses the model. transformers rejects a width that is no multiple of
   * the heads, whatever their own width.
   */
  @Override
  public boolean expresses(ModelSpec spec) {
    BlockSpec block = spec.first();
    Attention attention = block.attention();
    return spec.isUniform()
        && spec.finalNorm() instanceof Norm.Rms
        && Family.hasOneNorm(spec)
        && !spec.embedding().learnedPositions()
        && attention.position() instanceof Position.Rotary rotary
        && !rotary.interleaved()
        && rotary.dims() == attention.headDim()
        && block.residual().isSerial()
        && block.feedForward() instanceof FeedForward.Gated gated
        && gated.activation() == Activation.SILU
        && !spec.hasWindows()
        && attention.isScaled()
        && spec.width() % attention.heads() == 0
        && attention.qkvBias() == attention.outBias()
        && !spec.head().bias();
  }

  /**
   * Builds the configuration, with the rotary base in both spellings for old and new transformers.
   */
  @Override
  public Map<String, Object> json(ModelSpec spec, String dtype) {
    BlockSpec block = spec.first();
    Attention attention = block.attention();
    Map<String, Object> rope = new LinkedHashMap<>();
    rope.put("rope_type", "default");
    rope.put("rope_theta", attention.rotary().orElseThrow().base());

    Map<String, Object> json = Family.common("LlamaForCausalLM", modelType(), spec, dtype);
    json.put("hidden_size", spec.width());
    json.put("num_hidden_layers", spec.layers());
    json.put("num_attention_heads", attention.heads());
    json.put("num_key_value_heads", attention.kvHeads());
    json.put("head_dim", attention.headDim());
    json.put("intermediate_size", block.feedForward().width());
    json.put("max_position_embeddings", spec.maxPositions());
    json.put("hidden_act", block.feedForward().activation().hfName());
    json.put("rms_norm_eps", spec.finalNorm().eps());
    json.put("attention_bias", attention.qkvBias());
    json.put("mlp_bias", block.feedForward().bias());
    json.put("rope_theta", attention.rotary().orElseThrow().base());
    json.put("rope_parameters", rope);
    return json;
  }
}
