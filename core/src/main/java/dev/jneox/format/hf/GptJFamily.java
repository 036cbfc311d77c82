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
import dev.jneox.model.Position;
import dev.jneox.model.Residual;
import dev.jneox.model.Vocabulary;
import dev.jneox.weights.CanonicalNames;
import dev.jneox.weights.TensorExpression;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Maps GPT-J (Wang and Komatsuzaki 2021): interleaved rotary, one norm for attention and MLP, a
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
  public List<TensorExpression> tensors(ModelSpec spec) {
    return CanonicalNames.tensors(spec, NAMES::of, query -> Optional.empty(), id -> false);
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
  public ModelSpec spec(JsonObject json, int usedVocab) {
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
    int headDim = hidden / heads;
    int inner = json.has("n_inner") ? json.integer("n_inner", 0, 1, 16 * MAX_WIDTH) : MLP * hidden;
    return ModelSpec.of(
        new Vocabulary(vocabSize(json), usedVocab, Family.endOfText(json, 50256)),
        hidden,
        new Embedding(false),
        layers,
        new BlockSpec(
            new Residual.ParallelOneNorm(new Norm.Layer(json.positive("layer_norm_epsilon", 1e-5))),
            Attention.of(heads, headDim, new Position.Rotary(rotaryDims, ROTARY_BASE, true))
                .withBiases(false, false),
            new FeedForward.Plain(
                inner, Family.activation(json, "activation_function", Activation.GELU_TANH), true)),
        new Head(json.flag("tie_word_embeddings", false), true),
        Gpt2Family.positions(json, 2048));
  }

  @Override
  public boolean expresses(ModelSpec spec) {
    BlockSpec block = spec.first();
    Attention attention = block.attention();
    return Family.isGpt(spec)
        && !spec.embedding().learnedPositions()
        && attention.position() instanceof Position.Rotary rotary
        && rotary.interleaved()
        && rotary.base() == ROTARY_BASE
        && block.residual().sharesNorm()
        && !spec.hasWindows()
        && attention.isScaled()
        && !attention.qkvBias()
        && !attention.outBias()
        && spec.head().bias();
  }

  @Override
  public Map<String, Object> json(ModelSpec spec, String dtype) {
    BlockSpec block = spec.first();
    Attention attention = block.attention();
    Map<String, Object> json = Family.common("GPTJForCausalLM", modelType(), spec, dtype);
    json.put("n_embd", spec.width());
    json.put("n_layer", spec.layers());
    json.put("n_head", attention.heads());
    json.put("n_inner", block.feedForward().width());
    json.put("n_positions", spec.maxPositions());
    json.put("rotary", true);
    json.put("rotary_dim", attention.rotary().orElseThrow().dims());
    json.put("activation_function", block.feedForward().activation().hfName());
    json.put("layer_norm_epsilon", spec.finalNorm().eps());
    return json;
  }
}
