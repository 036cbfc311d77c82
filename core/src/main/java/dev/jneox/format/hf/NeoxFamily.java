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
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Maps GPT-NeoX as HF transformers writes it (GPT-NeoX-20B, Pythia; Black et al. 2022): rotary
 * positions, parallel residual with two norms. The canonical names are those of this family.
 */
public record NeoxFamily() implements Family {
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

  /** Returns the name without prefix; transformers 5 has {@code lm_head} for the head in memory. */
  @Override
  public String bare(String name) {
    return name.startsWith("lm_head.")
        ? head() + name.substring("lm_head".length())
        : Family.super.bare(name);
  }

  @Override
  public List<TensorExpression> tensors(ModelSpec spec) {
    return CanonicalNames.of(spec);
  }

  /** Returns whether a name is that of the causal mask or the rotary frequencies. */
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
  public ModelSpec spec(JsonObject json, int usedVocab) {
    int hidden = json.integer("hidden_size", 6144, 1, MAX_WIDTH);
    int layers = json.integer("num_hidden_layers", 44, 1, MAX_LAYERS);
    int heads = Family.heads(json, "num_attention_heads", 64, hidden);
    boolean biases = json.flag("attention_bias", true);
    Norm norm = new Norm.Layer(json.positive("layer_norm_eps", 1e-5));
    return ModelSpec.of(
        new Vocabulary(vocabSize(json), usedVocab, Family.endOfText(json, 2)),
        hidden,
        new Embedding(false),
        layers,
        new BlockSpec(
            json.flag("use_parallel_residual", true)
                ? new Residual.Parallel(norm, norm)
                : new Residual.Serial(norm, norm),
            Attention.of(heads, hidden / heads, rotary(json, hidden / heads))
                .withBiases(biases, biases),
            new FeedForward.Plain(
                json.integer("intermediate_size", 24576, 1, 16 * MAX_WIDTH),
                Family.activation(json, "hidden_act", Activation.GELU),
                true)),
        new Head(json.flag("tie_word_embeddings", false), false),
        json.integer("max_position_embeddings", 2048, 1, MAX_POSITIONS));
  }

  /**
   * Reads the rotary embedding. New folders have {@code rope_parameters}, old ones {@code
   * rotary_pct}, {@code rotary_emb_base} and {@code rope_scaling}.
   */
  private static Position.Rotary rotary(JsonObject json, int headDim) {
    double pct = json.positive("rotary_pct", ROTARY_PCT);
    double base = json.positive("rotary_emb_base", ROTARY_BASE);
    // In transformers' order: a scaling overrides the parameters.
    String key = json.has("rope_scaling") ? "rope_scaling" : "rope_parameters";
    JsonObject rope = json.object(key).orElse(null);
    if (rope != null) {
      for (String type : new String[] {"rope_type", "type"}) {
        if (rope.has(type) && !rope.text(type).equals(Optional.of("default"))) {
          throw rope.unsupported(type, "default (scaled rotary embeddings are not supported)");
        }
      }
      pct = rope.positive("partial_rotary_factor", pct);
      base = rope.positive("rope_theta", base);
    }
    int dims = pct <= 1 ? ModelSpec.rotaryDims(headDim, pct) : 0;
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
  public boolean expresses(ModelSpec spec) {
    BlockSpec block = spec.first();
    Attention attention = block.attention();
    return Family.isGpt(spec)
        && !spec.embedding().learnedPositions()
        && attention.position() instanceof Position.Rotary rotary
        && !rotary.interleaved()
        && !block.residual().sharesNorm()
        && !spec.hasWindows()
        && attention.isScaled()
        && attention.qkvBias() == attention.outBias()
        && !spec.head().bias();
  }

  /**
   * Builds the configuration, with the rotary values in both spellings for old and new
   * transformers.
   */
  @Override
  public Map<String, Object> json(ModelSpec spec, String dtype) {
    BlockSpec block = spec.first();
    Attention attention = block.attention();
    Position.Rotary rotary = attention.rotary().orElseThrow();
    double pct = rotaryPct(rotary.dims(), attention.headDim());
    Map<String, Object> rope = new LinkedHashMap<>();
    rope.put("rope_type", "default");
    rope.put("rope_theta", rotary.base());
    rope.put("partial_rotary_factor", pct);

    Map<String, Object> json = Family.common("GPTNeoXForCausalLM", modelType(), spec, dtype);
    json.put("hidden_size", spec.width());
    json.put("num_hidden_layers", spec.layers());
    json.put("num_attention_heads", attention.heads());
    json.put("intermediate_size", block.feedForward().width());
    json.put("max_position_embeddings", spec.maxPositions());
    json.put("hidden_act", block.feedForward().activation().hfName());
    json.put("layer_norm_eps", spec.finalNorm().eps());
    json.put("use_parallel_residual", !block.residual().isSerial());
    json.put("attention_bias", attention.qkvBias());
    json.put("rotary_pct", pct);
    json.put("rotary_emb_base", rotary.base());
    json.put("rope_parameters", rope);
    return json;
  }

  /** Computes a share from which a reader that truncates the product gets exactly {@code dims}. */
  public static double rotaryPct(int dims, int headDim) {
    double pct = (double) dims / headDim;
    return ModelSpec.rotaryDims(headDim, pct) == dims ? pct : Math.nextUp(pct);
  }
}
