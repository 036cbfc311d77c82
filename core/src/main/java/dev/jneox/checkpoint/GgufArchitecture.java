package dev.jneox.checkpoint;

import dev.jneox.io.InputException;
import dev.jneox.model.Activation;
import dev.jneox.model.ModelConfig;
import dev.jneox.model.Position;
import dev.jneox.model.Residual;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * The architectures of GGUF that are decoders of the GPT family, as llama.cpp's graphs compute
 * them: which {@link ModelConfig} a file of each means, by which metadata keys, and how tensors are
 * called.
 *
 * <p>All of llama.cpp's graphs for them compute GELU by its tanh approximation, so that is what a
 * file means; the key {@link #ACTIVATION}, which llama.cpp does not know, tells when a model was
 * trained with the exact one.
 */
enum GgufArchitecture {
  /** Rotary, two norms, parallel or serial residual. */
  GPTNEOX("gptneox"),
  /** Learned positions, serial residual; the head is the embedding unless there is one. */
  GPT2("gpt2"),
  /** Interleaved rotary, one norm. The format has a name for it, llama.cpp no graph. */
  GPTJ("gptj"),
  /**
   * Half-split rotary, one norm, biases everywhere: Phi-1 and Phi-2, and how a GPT-J can be given
   * to llama.cpp.
   */
  PHI2("phi2");

  static final String ARCHITECTURE = "general.architecture";

  /** Ours: the {@code hidden_act} of the model's {@code config.json}. */
  static final String ACTIVATION = "jneox.hidden_act";

  static final String END_OF_TEXT = "tokenizer.ggml.eos_token_id";

  // Bounds far above any model, so that a broken file is named before memory is asked for.
  private static final int MAX_WIDTH = 1 << 20;
  private static final int MAX_LAYERS = 1 << 14;

  private static final double ROTARY_BASE = 10000;

  /** Parts of canonical tensor names, and the file's for each. */
  private static final Map<String, String> PARTS = parts();

  private final String key;

  GgufArchitecture(String key) {
    this.key = key;
  }

  /** Its name in files. */
  String key() {
    return key;
  }

  private static Map<String, String> parts() {
    Map<String, String> parts = new LinkedHashMap<>();
    parts.put("embed_in", "token_embd");
    parts.put("embed_positions", "position_embd");
    parts.put("layers", "blk");
    parts.put("input_layernorm", "attn_norm");
    parts.put("post_attention_layernorm", "ffn_norm");
    parts.put("attention.query_key_value", "attn_qkv");
    parts.put("attention.dense", "attn_output");
    parts.put("mlp.dense_h_to_4h", "ffn_up");
    parts.put("mlp.dense_4h_to_h", "ffn_down");
    parts.put("final_layer_norm", "output_norm");
    parts.put("embed_out", "output");
    return parts;
  }

  /**
   * The name in a file of a canonical one: {@code layers.3.attention.dense.bias} is {@code
   * blk.3.attn_output.bias}.
   */
  static String tensorName(String canonical) {
    int end = canonical.lastIndexOf('.');
    String name = canonical.substring(0, end);
    String layer = "";
    if (name.startsWith("layers.")) {
      int dot = name.indexOf('.', "layers.".length());
      layer = PARTS.get("layers") + name.substring("layers".length(), dot + 1);
      name = name.substring(dot + 1);
    }
    return layer + PARTS.get(name) + canonical.substring(end);
  }

  /** What {@code file} is; an {@link InputException} for the many architectures that are no GPT. */
  static GgufArchitecture of(GgufFile file) {
    String name = file.metadata().text(ARCHITECTURE);
    for (GgufArchitecture architecture : values()) {
      if (architecture.key.equals(name)) {
        return architecture;
      }
    }
    throw file.metadata().wrong(ARCHITECTURE, "gptneox, gpt2, gptj or phi2");
  }

  /**
   * The shape of the model in {@code file}. Whether its tensors agree is for the caller to check.
   */
  ModelConfig config(GgufFile file) {
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
      return new ModelConfig(
          vocab,
          GgufTokenizer.used(metadata, vocab),
          hidden,
          layers,
          heads,
          metadata.integer(key("feed_forward_length"), 1, 16 * MAX_WIDTH),
          metadata.integer(key("context_length"), 1, Integer.MAX_VALUE),
          this == GPT2 ? new Position.Learned() : rotary(metadata, hidden / heads),
          residual(metadata),
          activation(metadata),
          metadata.positive(key("attention.layer_norm_epsilon"), 1e-5),
          ModelConfig.everywhere(layers),
          true,
          file.contains("blk.0.attn_qkv.bias") || file.contains("blk.0.attn_q.bias"),
          file.contains("blk.0.attn_output.bias"),
          file.contains("output.bias"),
          !file.contains("output.weight"),
          metadata.has(END_OF_TEXT) ? metadata.integer(END_OF_TEXT, 0, vocab - 1) : -1);
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

  private Residual residual(GgufMetadata metadata) {
    return switch (this) {
      case GPTNEOX ->
          metadata.flag(key("use_parallel_residual"), true) ? Residual.PARALLEL : Residual.SERIAL;
      case GPT2 -> Residual.SERIAL;
      case GPTJ, PHI2 -> Residual.PARALLEL_ONE_NORM;
    };
  }

  private static Activation activation(GgufMetadata metadata) {
    String name = metadata.text(ACTIVATION);
    Activation activation = name == null ? Activation.GELU_TANH : Activation.ofHf(name);
    if (activation == null) {
      throw metadata.wrong(ACTIVATION, "gelu or gelu_new");
    }
    return activation;
  }

  /**
   * The architecture whose graph in llama.cpp computes a model.
   *
   * @throws InputException naming {@code file}, which was to be written, and what no graph does
   */
  static GgufArchitecture of(ModelConfig config, Path file) {
    boolean windows = config.windows().stream().anyMatch(window -> window != 0);
    boolean learned = config.position() instanceof Position.Learned;
    String lacking =
        windows
            ? "local attention windows"
            : !config.scaledAttention()
                ? "attention without the scale 1/sqrt(head size)"
                : learned && config.residual() != Residual.SERIAL
                    ? "learned positions with a parallel residual"
                    : config.headBias() && config.residual() != Residual.PARALLEL_ONE_NORM
                        ? "a head with a bias in such a model"
                        : null;
    if (lacking != null) {
      throw new InputException(
          file + ": cannot be written as GGUF: llama.cpp has no graph for " + lacking);
    }
    return learned ? GPT2 : config.residual() == Residual.PARALLEL_ONE_NORM ? PHI2 : GPTNEOX;
  }

  /** The metadata that {@link #config} reads, and what llama.cpp wants to be told. */
  Map<String, GgufValue> metadata(ModelConfig config) {
    Map<String, GgufValue> values = new LinkedHashMap<>();
    values.put(key("vocab_size"), GgufValue.u32(config.vocabSize()));
    values.put(key("context_length"), GgufValue.u32(config.maxPositions()));
    values.put(key("embedding_length"), GgufValue.u32(config.hiddenSize()));
    values.put(key("block_count"), GgufValue.u32(config.layers()));
    values.put(key("feed_forward_length"), GgufValue.u32(config.intermediateSize()));
    values.put(key("attention.head_count"), GgufValue.u32(config.heads()));
    values.put(key("attention.head_count_kv"), GgufValue.u32(config.heads()));
    values.put(key("attention.layer_norm_epsilon"), GgufValue.f32(config.layerNormEps()));
    if (config.position() instanceof Position.Rotary rotary) {
      values.put(key("rope.dimension_count"), GgufValue.u32(rotary.dims()));
      values.put(key("rope.freq_base"), GgufValue.f32(rotary.base()));
    }
    if (this == GPTNEOX) {
      values.put(
          key("use_parallel_residual"), GgufValue.flag(config.residual() == Residual.PARALLEL));
    }
    values.put(ACTIVATION, GgufValue.text(config.activation().hfName()));
    return values;
  }
}
