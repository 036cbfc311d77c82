package dev.jneox.model;

import dev.jneox.tensor.Tensors;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * A decoder-only language model: token ids in, a score for every possible next token out. It is the
 * reference: plain libtorch operations in reading order, differentiable by autograd wherever the
 * weights require gradients.
 *
 * <pre>{@code
 * ids [B,S] -> embedding -> Block x L -> norm -> head -> logits [B,S,V]
 * }</pre>
 */
public final class CausalLM implements AutoCloseable {
  private final ModelConfig config;
  private final Map<String, Tensor> weights;
  private final List<Block> blocks = new ArrayList<>();
  private final Norm finalNorm;
  private final Linear head;

  /**
   * A model over {@code weights}, by the names and shapes of {@link ModelConfig#tensors()}; none is
   * copied, and {@link #close} closes them. Linear weights may be fp32 or bf16, and multiply in
   * their own precision.
   */
  public CausalLM(ModelConfig config, Map<String, Tensor> weights) {
    this.config = config;
    this.weights = new LinkedHashMap<>();
    for (ModelConfig.TensorSpec spec : config.tensors()) {
      Tensor t = weights.get(spec.name());
      if (t == null || !java.util.Arrays.equals(Tensors.shape(t), spec.shape())) {
        throw new IllegalArgumentException(
            spec.name()
                + ": expected "
                + java.util.Arrays.toString(spec.shape())
                + ", found "
                + (t == null ? "nothing" : java.util.Arrays.toString(Tensors.shape(t))));
      }
      boolean norm = spec.name().contains("norm") && t.scalar_type().intern() != ScalarType.Double;
      this.weights.put(spec.name(), keep(norm ? t.to(ScalarType.Float) : t));
    }
    Rotary rotary = config.position() instanceof Position.Rotary r ? new Rotary(r) : null;
    for (int l = 0; l < config.layers(); l++) {
      String p = "layers." + l + ".";
      boolean oneNorm = config.residual() == Residual.PARALLEL_ONE_NORM;
      blocks.add(
          new Block(
              l,
              config.residual(),
              norm(p + "input_layernorm"),
              oneNorm ? null : norm(p + "post_attention_layernorm"),
              new Attention(
                  config,
                  l,
                  rotary,
                  linear(p + "attention.query_key_value"),
                  linear(p + "attention.dense")),
              new Mlp(
                  linear(p + "mlp.dense_h_to_4h"),
                  linear(p + "mlp.dense_4h_to_h"),
                  config.activation())));
    }
    finalNorm = norm("final_layer_norm");
    head =
        new Linear(
            this.weights.get(config.tiedHead() ? "embed_in.weight" : "embed_out.weight"),
            this.weights.get("embed_out.bias"));
  }

  public ModelConfig config() {
    return config;
  }

  /** Every parameter by its canonical name, in the order of {@link ModelConfig#tensors()}. */
  public Map<String, Tensor> weights() {
    return java.util.Collections.unmodifiableMap(weights);
  }

  /** Logits {@code [B,S,V]} in fp32 of the token after each of {@code ids [B,S]} (int64). */
  public Tensor forward(Tensor ids) {
    return forward(ids, null, Hooks.NONE);
  }

  /**
   * Logits {@code [B,S,V]} in fp32.
   *
   * @param ids {@code [B,S]} int64; with a cache, the ids that follow those it has seen
   * @param cache null, or what earlier calls have seen; this call's positions are added to it
   * @param hooks {@link Hooks#NONE} or what looks on
   */
  public Tensor forward(Tensor ids, KvCache cache, Hooks hooks) {
    return Tensors.scoped(() -> logits(hidden(ids, cache, hooks)));
  }

  /** The normed output of the last block, {@code [B,S,H]}: what the head reads. */
  public Tensor hidden(Tensor ids, KvCache cache, Hooks hooks) {
    long past = cache == null ? 0 : cache.length();
    long seq = ids.size(1);
    if (past + seq > config.maxPositions()) {
      throw new IllegalArgumentException(
          "the model reads "
              + config.maxPositions()
              + " positions at most, "
              + (past + seq)
              + " were given");
    }
    Tensor x = embed(ids, past, hooks);
    for (Block block : blocks) {
      Tensor in = x;
      x = Tensors.scoped(() -> block.forward(in, cache, hooks));
    }
    if (cache != null) {
      cache.advance(seq);
    }
    return finalNorm.forward(x, hooks, "ln_final");
  }

  /** The scores of every token, {@code [...,V]}, for outputs of {@link #hidden}. */
  public Tensor logits(Tensor hidden) {
    return head.forward(hidden);
  }

  private Tensor embed(Tensor ids, long past, Hooks hooks) {
    Tensor x =
        hooks.at("", "hook_embed", fp32(torch.embedding(weights.get("embed_in.weight"), ids)));
    if (config.position() instanceof Position.Learned) {
      Tensor positions = fp32(weights.get("embed_positions.weight").narrow(0, past, ids.size(1)));
      x = x.add(hooks.at("", "hook_pos_embed", positions.expand_as(x)));
    }
    return x;
  }

  /** fp32, or fp64 where the whole model is. */
  private static Tensor fp32(Tensor t) {
    return t.scalar_type().intern() == ScalarType.Double ? t : t.to(ScalarType.Float);
  }

  /**
   * Makes every parameter a leaf of autograd, so that {@code backward()} fills its {@code grad()}.
   */
  public void requireGradients() {
    weights.values().forEach(t -> t.requires_grad_(true));
  }

  private Norm norm(String name) {
    return new Norm(
        weights.get(name + ".weight"), weights.get(name + ".bias"), config.layerNormEps());
  }

  private Linear linear(String name) {
    return new Linear(weights.get(name + ".weight"), weights.get(name + ".bias"));
  }

  /** Out of every scope: it lives until {@link #close}. */
  private static Tensor keep(Tensor t) {
    return t.retainReference();
  }

  @Override
  public void close() {
    weights.values().forEach(Tensor::close);
  }
}
