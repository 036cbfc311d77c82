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
import dev.jneox.weights.RowOrder;
import dev.jneox.weights.TensorExpression;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Maps GPT-2 (Radford et al. 2019): learned positions, serial residual, weights stored as {@code
 * [in, out]}.
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
  public List<TensorExpression> tensors(ModelSpec spec) {
    return CanonicalNames.tensors(
        spec,
        NAMES::of,
        query -> Optional.of(RowOrder.CONCATENATED),
        id -> id.block() != ParamId.MODEL && !id.part().isNorm());
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
    json.requireOff("scale_attn_by_inverse_layer_idx");
    json.requireOff("add_cross_attention");
    int hidden = json.integer(json.spelled("n_embd", "hidden_size"), 768, 1, MAX_WIDTH);
    int layers = json.integer(json.spelled("n_layer", "num_hidden_layers"), 12, 1, MAX_LAYERS);
    int heads = Family.heads(json, json.spelled("n_head", "num_attention_heads"), 12, hidden);
    int headDim = hidden / heads;
    int inner = json.has("n_inner") ? json.integer("n_inner", 0, 1, 16 * MAX_WIDTH) : MLP * hidden;
    Norm norm = new Norm.Layer(json.positive("layer_norm_epsilon", 1e-5));
    Attention attention = Attention.of(heads, headDim, new Position.None());
    return ModelSpec.of(
        new Vocabulary(vocabSize(json), usedVocab, Family.endOfText(json, 50256)),
        hidden,
        new Embedding(true),
        layers,
        new BlockSpec(
            new Residual.Serial(norm, norm),
            json.flag("scale_attn_weights", true) ? attention : attention.withScale(1),
            new FeedForward.Plain(
                inner, Family.activation(json, "activation_function", Activation.GELU_TANH), true)),
        new Head(json.flag("tie_word_embeddings", true), false),
        positions(json, 1024));
  }

  /**
   * Reads the longest sequence. The first GPT-2 folders have {@code n_ctx} beside {@code
   * n_positions}, or alone.
   */
  static int positions(JsonObject json, int absent) {
    String key = json.spelled("n_positions", "max_position_embeddings");
    return json.integer(json.has(key) ? key : "n_ctx", absent, 1, MAX_POSITIONS);
  }

  @Override
  public boolean expresses(ModelSpec spec) {
    BlockSpec block = spec.first();
    Attention attention = block.attention();
    return Family.isGpt(spec)
        && spec.embedding().learnedPositions()
        && attention.position() instanceof Position.None
        && block.residual().isSerial()
        && !spec.hasWindows()
        && (attention.isScaled() || attention.scale() == 1)
        && attention.qkvBias()
        && attention.outBias()
        && !spec.head().bias();
  }

  @Override
  public Map<String, Object> json(ModelSpec spec, String dtype) {
    BlockSpec block = spec.first();
    Attention attention = block.attention();
    Map<String, Object> json = Family.common("GPT2LMHeadModel", modelType(), spec, dtype);
    json.put("n_embd", spec.width());
    json.put("n_layer", spec.layers());
    json.put("n_head", attention.heads());
    json.put("n_inner", block.feedForward().width());
    json.put("n_positions", spec.maxPositions());
    json.put("n_ctx", spec.maxPositions());
    json.put("activation_function", block.feedForward().activation().hfName());
    json.put("layer_norm_epsilon", spec.finalNorm().eps());
    json.put("scale_attn_weights", attention.isScaled());
    return json;
  }
}
