package dev.jneox.model;

import java.util.ArrayList;
import java.util.List;

/**
 * The shape of a pre-norm decoder of the GPT family; all that {@link CausalLM} needs to know.
 *
 * @param vocabSize rows of the embedding and the head, padding included (V)
 * @param usedVocab ids that mean something; the rest of the rows are padding and are never sampled
 * @param hiddenSize width of the residual stream (H)
 * @param layers number of blocks (L)
 * @param heads attention heads; divides {@code hiddenSize}
 * @param intermediateSize width of the MLP, usually 4 H
 * @param maxPositions longest sequence
 * @param position rotary or learned
 * @param residual how attention and MLP are joined
 * @param activation of the MLP
 * @param layerNormEps added to the variance in every layer norm
 * @param windows for each layer, how many of the latest positions a query sees, itself included; 0
 *     is all
 * @param scaledAttention scores are divided by the square root of the head's width (GPT-Neo does
 *     not)
 * @param qkvBias whether query, key and value have biases
 * @param denseBias whether the attention's output projection has one
 * @param headBias whether the output head has one
 * @param tiedHead the head is the embedding
 * @param endOfText id that ends a document, or -1
 */
public record ModelConfig(
    int vocabSize,
    int usedVocab,
    int hiddenSize,
    int layers,
    int heads,
    int intermediateSize,
    int maxPositions,
    Position position,
    Residual residual,
    Activation activation,
    double layerNormEps,
    List<Integer> windows,
    boolean scaledAttention,
    boolean qkvBias,
    boolean denseBias,
    boolean headBias,
    boolean tiedHead,
    int endOfText) {

  public ModelConfig {
    positive("vocab_size", vocabSize);
    positive("hidden_size", hiddenSize);
    positive("num_hidden_layers", layers);
    positive("num_attention_heads", heads);
    positive("intermediate_size", intermediateSize);
    positive("max_position_embeddings", maxPositions);
    require(
        hiddenSize % heads == 0,
        "hidden_size " + hiddenSize + " is not a multiple of num_attention_heads " + heads);
    require(
        usedVocab > 0 && usedVocab <= vocabSize,
        "used vocabulary " + usedVocab + " is not within 1.." + vocabSize);
    windows = List.copyOf(windows);
    require(
        windows.size() == layers, windows.size() + " attention windows for " + layers + " layers");
    if (position instanceof Position.Rotary rotary) {
      require(
          rotary.dims() >= 2 && rotary.dims() % 2 == 0 && rotary.dims() <= hiddenSize / heads,
          "rotary dimensions "
              + rotary.dims()
              + " must be even and within 2.."
              + hiddenSize / heads);
    }
  }

  /**
   * A GPT-NeoX as the 20B model and Pythia are: rotary, biases everywhere, parallel residual,
   * untied head.
   */
  public static ModelConfig neox(
      int vocabSize, int hiddenSize, int layers, int heads, int maxPositions) {
    return new ModelConfig(
        vocabSize,
        vocabSize,
        hiddenSize,
        layers,
        heads,
        4 * hiddenSize,
        maxPositions,
        new Position.Rotary(rotaryDims(hiddenSize / heads, 0.25), 10000, false),
        Residual.PARALLEL,
        Activation.GELU,
        1e-5,
        everywhere(layers),
        true,
        true,
        true,
        false,
        false,
        0);
  }

  /** {@code int(headDim * pct)}, GPT-NeoX's rounding. */
  public static int rotaryDims(int headDim, double pct) {
    return (int) (headDim * pct);
  }

  /** Windows of a model whose every layer sees all positions. */
  public static List<Integer> everywhere(int layers) {
    return java.util.Collections.nCopies(layers, 0);
  }

  public int headDim() {
    return hiddenSize / heads;
  }

  /**
   * A named tensor and its shape. Names are HF's for GPT-NeoX, without the leading {@code
   * gpt_neox.}.
   */
  public record TensorSpec(String name, long... shape) {
    public long elements() {
      long n = 1;
      for (long s : shape) {
        n *= s;
      }
      return n;
    }
  }

  /**
   * Every parameter in the order of the forward pass. Linear weights are {@code [out, in]}; the
   * fused {@code query_key_value} has rows {@code head * 3 * headDim + {q:0, k:1, v:2} * headDim +
   * d}.
   */
  public List<TensorSpec> tensors() {
    List<TensorSpec> all = new ArrayList<>();
    int h = hiddenSize;
    all.add(new TensorSpec("embed_in.weight", vocabSize, h));
    if (position instanceof Position.Learned) {
      all.add(new TensorSpec("embed_positions.weight", maxPositions, h));
    }
    for (int l = 0; l < layers; l++) {
      String p = "layers." + l + ".";
      norm(all, p + "input_layernorm");
      if (residual != Residual.PARALLEL_ONE_NORM) {
        norm(all, p + "post_attention_layernorm");
      }
      linear(all, p + "attention.query_key_value", 3 * h, h, qkvBias);
      linear(all, p + "attention.dense", h, h, denseBias);
      linear(all, p + "mlp.dense_h_to_4h", intermediateSize, h, true);
      linear(all, p + "mlp.dense_4h_to_h", h, intermediateSize, true);
    }
    norm(all, "final_layer_norm");
    if (!tiedHead) {
      all.add(new TensorSpec("embed_out.weight", vocabSize, h));
    }
    if (headBias) {
      all.add(new TensorSpec("embed_out.bias", vocabSize));
    }
    return all;
  }

  private void norm(List<TensorSpec> all, String name) {
    all.add(new TensorSpec(name + ".weight", hiddenSize));
    all.add(new TensorSpec(name + ".bias", hiddenSize));
  }

  private static void linear(List<TensorSpec> all, String name, int out, int in, boolean bias) {
    all.add(new TensorSpec(name + ".weight", out, in));
    if (bias) {
      all.add(new TensorSpec(name + ".bias", out));
    }
  }

  /** Number of parameters; the 20B model has 20,554,567,680. */
  public long parameters() {
    return tensors().stream().mapToLong(TensorSpec::elements).sum();
  }

  /**
   * Floating-point operations of one training step on {@code tokens} tokens in sequences of {@code
   * seq}, forward and backward without recomputation: {@code 72 T L H^2 (1 + S/(6H) + V/(12 L H))}
   * (Narayanan et al. 2021) where the MLP is 4 H wide. Causality is not discounted.
   */
  public double trainingFlops(long tokens, int seq) {
    double h = hiddenSize;
    double perLayer = 2 * (4 * h * h + 2 * h * intermediateSize) + 4.0 * seq * h;
    return 3.0 * tokens * (layers * perLayer + 2 * h * vocabSize);
  }

  private static void positive(String name, int value) {
    require(value > 0, name + " must be positive, is " + value);
  }

  private static void require(boolean holds, String message) {
    if (!holds) {
      throw new IllegalArgumentException(message);
    }
  }
}
