package dev.jneox.format.gguf;

import dev.jneox.format.hf.Family;
import dev.jneox.io.InputException;
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
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Predicate;

/**
 * Lists the architectures of GGUF that are decoders of the GPT family, as llama.cpp's graphs
 * compute them: which {@link ModelSpec} a file describes, by which metadata keys, and the names of
 * its tensors.
 *
 * <p>llama.cpp computes GELU by its tanh approximation in all of these graphs, so a file means that
 * one. The key {@link #ACTIVATION}, which llama.cpp ignores, marks a model that was trained with
 * the exact GELU.
 */
enum GgufArchitecture {
  /** Rotary, two norms, parallel or serial residual. */
  GPTNEOX("gptneox"),
  /** Learned positions, serial residual; the head is the embedding unless there is one. */
  GPT2("gpt2"),
  /** Interleaved rotary, one norm. The format has a name for it, llama.cpp has no graph. */
  GPTJ("gptj"),
  /**
   * Half-split rotary, one norm, biases everywhere: Phi-1 and Phi-2, and the form in which
   * llama.cpp runs a GPT-J.
   */
  PHI2("phi2");

  static final String ARCHITECTURE = "general.architecture";

  /** Ours: the {@code hidden_act} of the model's {@code config.json}. */
  static final String ACTIVATION = "jneox.hidden_act";

  static final String END_OF_TEXT = "tokenizer.ggml.eos_token_id";

  /** The end of a turn, and of a message to a tool: they end a generated text as well. */
  static final String END_OF_TURN = "tokenizer.ggml.eot_token_id";

  static final String END_OF_MESSAGE = "tokenizer.ggml.eom_token_id";

  // Limits far above any model, so that a broken file is rejected before memory is allocated.
  private static final int MAX_WIDTH = 1 << 20;
  private static final int MAX_LAYERS = 1 << 14;

  private static final double ROTARY_BASE = 10000;

  private final String key;

  GgufArchitecture(String key) {
    this.key = key;
  }

  /** Returns its name in files. */
  String key() {
    return key;
  }

  /** Returns the name of a parameter in a file: {@code blk.3.attn_output.bias}. */
  static String tensorName(ParamId id) {
    String part =
        switch (id.part()) {
          case EMBEDDING -> "token_embd";
          case POSITIONS -> "position_embd";
          case ATTENTION_NORM -> "attn_norm";
          case FEED_FORWARD_NORM -> "ffn_norm";
          case QUERY -> "attn_q";
          case KEY -> "attn_k";
          case VALUE -> "attn_v";
          case ATTENTION_OUT -> "attn_output";
          case GATE -> "ffn_gate";
          case UP -> "ffn_up";
          case DOWN -> "ffn_down";
          case FINAL_NORM -> "output_norm";
          case HEAD -> "output";
        };
    String layer = id.block() == ParamId.MODEL ? "" : "blk." + id.block() + ".";
    return layer + part + CanonicalNames.kind(id);
  }

  /** Returns the name of the tensor that holds a query with its key and value. */
  static String fusedName(ParamId query) {
    return tensorName(query).replace("attn_q", "attn_qkv");
  }

  /**
   * Lists the tensors of a file.
   *
   * @param fused whether the query of an id is one tensor with its key and value
   * @param order of the rows of such a tensor
   */
  static List<TensorExpression> tensors(ModelSpec spec, Predicate<ParamId> fused, RowOrder order) {
    return CanonicalNames.tensors(
        spec,
        id -> fused.test(id) ? fusedName(id) : tensorName(id),
        id -> fused.test(id) ? Optional.of(order) : Optional.empty(),
        id -> false);
  }

  /**
   * Reads the architecture of a file.
   *
   * @throws InputException for an architecture outside the GPT family
   */
  static GgufArchitecture of(GgufFile file) {
    String name = file.metadata().text(ARCHITECTURE);
    for (GgufArchitecture architecture : values()) {
      if (architecture.key.equals(name)) {
        return architecture;
      }
    }
    throw file.metadata().wrong(ARCHITECTURE, "gptneox, gpt2, gptj or phi2");
  }

  /** Reads the shape of the model. The caller checks that the tensors agree. */
  ModelSpec spec(GgufFile file) {
    GgufMetadata metadata = file.metadata();
    int hidden = metadata.integer(key("embedding_length"), 1, MAX_WIDTH);
    int layers = metadata.integer(key("block_count"), 1, MAX_LAYERS);
    int heads = metadata.integer(key("attention.head_count"), 1, MAX_WIDTH);
    if (hidden % heads != 0) {
      throw metadata.wrong(key("attention.head_count"), "a divisor of embedding_length " + hidden);
    }
    same(metadata, "attention.head_count_kv", heads, "as many as query heads");
    same(metadata, "attention.key_length", hidden / heads, "embedding_length over head_count");
    same(metadata, "attention.value_length", hidden / heads, "embedding_length over head_count");
    int vocab = vocabulary(file);
    try {
      int headDim = hidden / heads;
      Norm norm = new Norm.Layer(metadata.positive(key("attention.layer_norm_epsilon"), 1e-5));
      Position position = this == GPT2 ? new Position.None() : rotary(metadata, headDim);
      return ModelSpec.of(
          vocabulary(metadata, vocab),
          hidden,
          new Embedding(this == GPT2),
          layers,
          new BlockSpec(
              residual(metadata, norm),
              Attention.of(heads, headDim, position)
                  .withBiases(
                      file.contains("blk.0.attn_qkv.bias") || file.contains("blk.0.attn_q.bias"),
                      file.contains("blk.0.attn_output.bias")),
              new FeedForward.Plain(
                  metadata.integer(key("feed_forward_length"), 1, 16 * MAX_WIDTH),
                  activation(metadata),
                  true)),
          new Head(!file.contains("output.weight"), file.contains("output.bias")),
          metadata.integer(key("context_length"), 1, Integer.MAX_VALUE));
    } catch (IllegalArgumentException e) {
      throw new InputException(file.file() + ": " + e.getMessage(), e);
    }
  }

  private String key(String name) {
    return key + "." + name;
  }

  private void same(GgufMetadata metadata, String name, int wanted, String why) {
    if (metadata.has(key(name)) && metadata.integer(key(name), 0, Integer.MAX_VALUE) != wanted) {
      throw metadata.wrong(key(name), wanted + ", " + why);
    }
  }

  private static Vocabulary vocabulary(GgufMetadata metadata, int rows) {
    List<Integer> ends = new ArrayList<>();
    for (String key : List.of(END_OF_TEXT, END_OF_TURN, END_OF_MESSAGE)) {
      if (metadata.has(key)) {
        ends.add(metadata.integer(key, 0, rows - 1));
      }
    }
    int endOfText = metadata.has(END_OF_TEXT) ? ends.getFirst() : -1;
    return new Vocabulary(
        rows, GgufTokenizer.used(metadata, rows), endOfText, ends.stream().distinct().toList());
  }

  private static int vocabulary(GgufFile file) {
    GgufFile.Entry embedding = file.entry("token_embd.weight");
    if (embedding.shape().size() != 2 || embedding.shape().getFirst() > Integer.MAX_VALUE) {
      throw InputException.in(
          file.file(),
          "tensor \"token_embd.weight\"",
          "rows for the tokens",
          "shape " + embedding.shape());
    }
    return embedding.shape().getFirst().intValue();
  }

  private Position.Rotary rotary(GgufMetadata metadata, int headDim) {
    String scaling = metadata.text(key("rope.scaling.type"));
    if (scaling != null && !scaling.equals("none")) {
      throw metadata.wrong(
          key("rope.scaling.type"), "none (scaled rotary embeddings are not supported)");
    }
    int dims = metadata.integer(key("rope.dimension_count"), headDim, 2, headDim);
    if (dims % 2 != 0) {
      throw metadata.wrong(key("rope.dimension_count"), "an even number");
    }
    return new Position.Rotary(
        dims, metadata.positive(key("rope.freq_base"), ROTARY_BASE), this == GPTJ);
  }

  private Residual residual(GgufMetadata metadata, Norm norm) {
    return switch (this) {
      case GPTNEOX ->
          metadata.flag(key("use_parallel_residual"), true)
              ? new Residual.Parallel(norm, norm)
              : new Residual.Serial(norm, norm);
      case GPT2 -> new Residual.Serial(norm, norm);
      case GPTJ, PHI2 -> new Residual.ParallelOneNorm(norm);
    };
  }

  private static Activation activation(GgufMetadata metadata) {
    String name = metadata.text(ACTIVATION);
    Activation activation =
        name == null ? Activation.GELU_TANH : Activation.ofHf(name).orElse(null);
    if (activation == null || activation == Activation.SILU) {
      throw metadata.wrong(ACTIVATION, "gelu or gelu_new");
    }
    return activation;
  }

  /**
   * Chooses the architecture whose graph in llama.cpp computes a model.
   *
   * @param file the target, for the message
   * @throws InputException when no graph does; the message says which part is missing
   */
  static GgufArchitecture of(ModelSpec spec, Path file) {
    Attention attention = spec.first().attention();
    Residual residual = spec.first().residual();
    boolean learned = spec.embedding().learnedPositions();
    boolean rotary = attention.position() instanceof Position.Rotary;
    String lacking =
        spec.hasWindows()
            ? "local attention windows"
            : attention.scale() == 1 && !attention.isScaled()
                ? "attention without the scale 1/sqrt(head size)"
                : !Family.isGpt(spec) || !attention.isScaled() || learned == rotary
                    ? "a model of this kind"
                    : learned && !residual.isSerial()
                        ? "learned positions with a parallel residual"
                        : spec.head().bias() && !residual.sharesNorm()
                            ? "a head with a bias in such a model"
                            : null;
    if (lacking != null) {
      throw new InputException(
          file + ": cannot be written as GGUF: llama.cpp has no graph for " + lacking);
    }
    return learned ? GPT2 : residual.sharesNorm() ? PHI2 : GPTNEOX;
  }

  /** Returns the metadata that {@link #spec} and llama.cpp read. */
  Map<String, GgufValue> metadata(ModelSpec spec) {
    Attention attention = spec.first().attention();
    FeedForward feedForward = spec.first().feedForward();
    Map<String, GgufValue> values = new LinkedHashMap<>();
    values.put(key("vocab_size"), GgufValue.u32(spec.vocabulary().rows()));
    values.put(key("context_length"), GgufValue.u32(spec.maxPositions()));
    values.put(key("embedding_length"), GgufValue.u32(spec.width()));
    values.put(key("block_count"), GgufValue.u32(spec.layers()));
    values.put(key("feed_forward_length"), GgufValue.u32(feedForward.width()));
    values.put(key("attention.head_count"), GgufValue.u32(attention.heads()));
    values.put(key("attention.head_count_kv"), GgufValue.u32(attention.kvHeads()));
    values.put(key("attention.layer_norm_epsilon"), GgufValue.f32(spec.finalNorm().eps()));
    if (attention.position() instanceof Position.Rotary rotary) {
      values.put(key("rope.dimension_count"), GgufValue.u32(rotary.dims()));
      values.put(key("rope.freq_base"), GgufValue.f32(rotary.base()));
    }
    if (this == GPTNEOX) {
      values.put(key("use_parallel_residual"), GgufValue.flag(!spec.first().residual().isSerial()));
    }
    values.put(ACTIVATION, GgufValue.text(feedForward.activation().hfName()));
    return values;
  }
}
