package dev.jneox.train;

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
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/**
 * Describes the model of a configuration, but for its vocabulary, which the tokenizer decides.
 *
 * @param layers number of blocks
 * @param hiddenSize width of the residual stream
 * @param heads query heads of a layer
 * @param keyValueHeads fewer than {@code heads} in grouped-query attention
 * @param feedForward the MLP of every layer. The width of a gated one is half of the rows of
 *     GPT-NeoX's {@code linear1}, about a third of {@code intermediate_size}
 * @param attentionBias whether attention's linear maps have biases
 * @param seqLength tokens in a training sample (S)
 * @param maxPositions the longest sequence
 * @param learnedPositions whether positions are learned, not rotary
 * @param rotaryPct fraction of the dimensions of each head that are rotated
 * @param rotaryBase base of the rotary angles
 * @param residual how attention, MLP and norms are joined in every layer
 * @param tiedHead whether the head's weight is the embedding's
 * @param vocabMultiple the vocabulary is padded to a multiple of this: {@code
 *     make_vocab_size_divisible_by} times tensor parts
 * @param initStd standard deviation of the first weights of embedding, QKV, first MLP matrix and
 *     head; NaN for an initialisation that is not normal
 * @param outputInitStd standard deviation of the first weights of attention's output and the second
 *     MLP matrix; NaN for an initialisation that is not normal
 * @param attentionTypes one per layer; {@code global} and {@code flash} compute the same; {@code
 *     local} sees the window
 * @param attentionWindow how many of the latest positions a local layer sees, its own included; 0
 *     where none is set
 */
public record ModelSection(
    int layers,
    int hiddenSize,
    int heads,
    int keyValueHeads,
    FeedForward feedForward,
    boolean attentionBias,
    int seqLength,
    int maxPositions,
    boolean learnedPositions,
    double rotaryPct,
    double rotaryBase,
    Residual residual,
    boolean tiedHead,
    int vocabMultiple,
    double initStd,
    double outputInitStd,
    List<String> attentionTypes,
    int attentionWindow) {

  /** A key of JNeoX: GPT-NeoX's own local attention is blockwise and has no window. */
  private static final String WINDOW = "attention_window";

  static ModelSection of(Settings s, ParallelSection parallel) {
    int layers = s.integer("num_layers");
    int hidden = s.integer("hidden_size");
    int heads = s.integer("num_attention_heads");
    if (hidden % heads != 0) {
      throw s.wrong("hidden_size", hidden + " is not a multiple of num_attention_heads " + heads);
    }
    int maxPositions = s.integer("max_position_embeddings");
    int seqLength = s.maybeInteger("seq_length").orElse(maxPositions);
    if (seqLength > maxPositions) {
      throw s.wrong(
          "seq_length", seqLength + " is more than max_position_embeddings " + maxPositions);
    }
    int kvHeads = s.maybeInteger("num_kv_heads").orElse(heads);
    if (heads % kvHeads != 0) {
      throw s.wrong("num_kv_heads", kvHeads + " does not divide num_attention_heads " + heads);
    }
    double rotaryPct = s.real("rotary_pct");
    int rotaryDims = ModelSpec.rotaryDims(hidden / heads, rotaryPct);
    if (s.text("pos_emb").equals("rotary") && (rotaryDims < 2 || rotaryDims % 2 != 0)) {
      throw s.wrong(
          "rotary_pct",
          rotaryPct
              + " of a head of "
              + hidden / heads
              + " is "
              + rotaryDims
              + " dimensions: expected an even number >= 2");
    }
    List<String> attentionTypes = attentionTypes(s, layers);
    int window = s.maybeInteger(WINDOW).orElse(0);
    if (window > 0 && !attentionTypes.contains("local")) {
      throw s.wrong(WINDOW, "is for layers of type local, but attention_config names none");
    }
    boolean parallelResidual = s.flag("gpt_j_residual");
    Norm norm =
        s.text("norm").equals("rmsnorm")
            ? new Norm.Rms(s.real("rms_norm_epsilon"))
            : new Norm.Layer(s.real("layernorm_epsilon"));
    return new ModelSection(
        layers,
        hidden,
        heads,
        kvHeads,
        feedForward(s, hidden),
        s.flag("use_bias_in_attn_linear"),
        seqLength,
        maxPositions,
        s.text("pos_emb").equals("learned"),
        rotaryPct,
        s.real("rotary_emb_base"),
        !parallelResidual
            ? new Residual.Serial(norm, norm)
            : s.flag("gpt_j_tied")
                ? new Residual.ParallelOneNorm(norm)
                : new Residual.Parallel(norm, norm),
        !s.flag("no_weight_tying"),
        s.integer("make_vocab_size_divisible_by") * parallel.tensor(),
        initStd(s, "init_method", layers, hidden),
        initStd(s, "output_layer_init_method", layers, hidden),
        attentionTypes,
        window);
  }

  /**
   * Reads the MLP. For a gated one GPT-NeoX takes two thirds of {@code intermediate_size}, rounds
   * up to a multiple of twice {@code mlp_multiple_of}, and gives half of it to the gate.
   */
  private static FeedForward feedForward(Settings s, int hidden) {
    int size = intermediateSize(s, hidden);
    int multiple = s.integer("mlp_multiple_of");
    boolean bias = s.flag("use_bias_in_mlp");
    return switch (s.text("activation")) {
      case "swiglu" -> new FeedForward.Gated(gatedWidth(size, multiple), Activation.SILU, bias);
      case "geglu" -> new FeedForward.Gated(gatedWidth(size, multiple), Activation.GELU, bias);
      case "silu", "swish" -> plain(s, size, multiple, Activation.SILU, bias);
      default ->
          plain(
              s,
              size,
              multiple,
              s.flag("bias_gelu_fusion") ? Activation.GELU_TANH : Activation.GELU,
              bias);
    };
  }

  private static int gatedWidth(int size, int multiple) {
    return Math.ceilDiv((int) (size * 2L / 3), 2 * multiple) * multiple;
  }

  private static FeedForward plain(
      Settings s, int size, int multiple, Activation activation, boolean bias) {
    if (multiple > 1 && size % (2 * multiple) != 0) {
      throw s.wrong(
          "mlp_multiple_of",
          "rounds an MLP %d wide to different widths of its matrices: expected a divisor of half of it"
              .formatted(size));
    }
    return new FeedForward.Plain(size, activation, bias);
  }

  private static int intermediateSize(Settings s, int hidden) {
    if (s.given("intermediate_size")) {
      return s.integer("intermediate_size");
    }
    double size = (s.given("expansion_factor") ? s.real("expansion_factor") : 4) * hidden;
    if (size < 1 || size > 1 << 24) {
      throw s.wrong("expansion_factor", "makes an MLP " + size + " wide");
    }
    return (int) size;
  }

  /**
   * Returns the standard deviation of one of GPT-NeoX's normal initialisations (small_init is by
   * Nguyen and Salazar, 2019); NaN for the other ones.
   */
  private static double initStd(Settings s, String key, int layers, int hidden) {
    return switch (s.text(key)) {
      case "normal" -> s.real("init_method_std");
      case "scaled_normal" -> s.real("init_method_std") / Math.sqrt(2.0 * layers);
      case "small_init" -> Math.sqrt(2.0 / (5.0 * hidden));
      case "wang_init" -> 2.0 / (layers * Math.sqrt(hidden));
      default -> Double.NaN;
    };
  }

  /**
   * Unfolds {@code [[[types], times], ...]}; {@code times} may be "all"; a plain list of types is
   * one per layer.
   */
  private static List<String> attentionTypes(Settings s, int layers) {
    String key = "attention_config";
    Object config = s.any(key);
    if (config == null) {
      return Collections.nCopies(layers, "global");
    }
    List<String> types = new ArrayList<>();
    for (Object entry : config instanceof List<?> list ? list : List.of(config)) {
      switch (entry) {
        case String type -> types.add(type);
        case List<?> pair
            when pair.size() == 2 && pair.get(0) instanceof List<?> names && !names.isEmpty() -> {
          long times =
              pair.get(1) instanceof Long n
                  ? n
                  : "all".equals(pair.get(1)) ? layers / names.size() : -1;
          if (times < 0 || times > layers) {
            throw s.wrong(
                key,
                "expected a number of layers within 0.."
                    + layers
                    + " or \"all\", found "
                    + pair.get(1));
          }
          for (long i = 0; i < times; i++) {
            names.forEach(name -> types.add(String.valueOf(name)));
          }
        }
        default -> throw s.wrong(key, "expected [[[types], layers], ...], found an entry " + entry);
      }
    }
    if (types.size() != layers) {
      throw s.wrong(
          key, "names the attention of " + types.size() + " layers, but num_layers is " + layers);
    }
    return List.copyOf(types);
  }

  /**
   * Returns the rows of embedding and head for a vocabulary of {@code vocabulary} ids: the next
   * multiple of {@link #vocabMultiple}, as GPT-NeoX pads it.
   */
  public int paddedVocab(int vocabulary) {
    return Math.ceilDiv(vocabulary, vocabMultiple) * vocabMultiple;
  }

  /**
   * Returns the description of the model.
   *
   * @param vocabulary number of ids the tokenizer knows, before padding
   * @param endOfText the id that ends a document, or -1
   */
  public ModelSpec shape(int vocabulary, int endOfText) {
    int headDim = ModelSpec.headDim(hiddenSize, heads);
    Position position =
        learnedPositions
            ? new Position.None()
            : new Position.Rotary(ModelSpec.rotaryDims(headDim, rotaryPct), rotaryBase, false);
    Attention attention =
        Attention.of(heads, headDim, position)
            .withKvHeads(keyValueHeads)
            .withBiases(attentionBias, attentionBias);
    return new ModelSpec(
        new Vocabulary(paddedVocab(vocabulary), vocabulary, endOfText),
        hiddenSize,
        new Embedding(learnedPositions),
        attentionTypes.stream()
            .map(type -> attention.withWindow(type.equals("local") ? attentionWindow : 0))
            .map(layer -> new BlockSpec(residual, layer, feedForward))
            .toList(),
        residual.attention(),
        new Head(tiedHead, false),
        maxPositions);
  }
}
