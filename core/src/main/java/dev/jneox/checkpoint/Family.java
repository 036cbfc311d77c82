package dev.jneox.checkpoint;

import dev.jneox.model.Activation;
import dev.jneox.model.ModelConfig;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * One spelling of the one model: how the {@code config.json} and the tensors of a kind of folder
 * map onto {@link ModelConfig}. The model itself knows of none. Absent keys have the values of
 * transformers' configuration classes.
 */
sealed interface Family permits NeoxFamily, GptJFamily, Gpt2Family, GptNeoFamily, JneoxFamily {
  /**
   * A model is written as the first of these that can say what it is; the last can say everything.
   */
  List<Family> ALL =
      List.of(
          new NeoxFamily(),
          new GptJFamily(),
          new Gpt2Family(),
          new GptNeoFamily(),
          new JneoxFamily());

  // Bounds far above any model, so that a broken file is named before memory is asked for.
  int MAX_WIDTH = 1 << 20;
  int MAX_LAYERS = 1 << 14;
  int MAX_POSITIONS = 1 << 20;

  /**
   * Where a canonical tensor lies.
   *
   * @param names without the {@link #prefix}; one, or three for {@link Layout#THREE}
   */
  record Stored(Layout layout, List<String> names) {
    static Stored same(String name) {
      return new Stored(Layout.SAME, List.of(name));
    }
  }

  /** {@code model_type} in {@code config.json}. */
  String modelType();

  /**
   * What stands before every name but the head's in a whole language model; a saved base model is
   * without it.
   */
  String prefix();

  /** The head's name up to the dot. */
  String head();

  /** Where the canonical tensor of this name lies. */
  Stored stored(String canonical);

  /**
   * Whether a name without prefix is that of a buffer: no weight, yet saved by older versions of
   * transformers.
   */
  boolean isBuffer(String name);

  /**
   * Reads the configuration.
   *
   * @param usedVocab how many ids mean something, at most {@link #vocabSize}
   */
  ModelConfig config(JsonObject json, int usedVocab);

  /** Rows of the embedding. */
  int vocabSize(JsonObject json);

  /**
   * Whether a folder of this family can say all of {@code config}, so that its readers compute the
   * same.
   */
  boolean expresses(ModelConfig config);

  /**
   * The content of {@code config.json} for a model that this family {@link #expresses}; {@code
   * dtype} is PyTorch's name.
   */
  Map<String, Object> json(ModelConfig config, String dtype);

  /** The family that a {@code config.json} names. */
  static Family of(JsonObject json) {
    String type = json.text("model_type");
    for (Family family : ALL) {
      if (family.modelType().equals(type)) {
        return family;
      }
    }
    throw json.unsupported(
        "model_type", ALL.stream().map(Family::modelType).collect(Collectors.joining(", ")));
  }

  /** The family as which a model is written. */
  static Family of(ModelConfig config) {
    return ALL.stream().filter(family -> family.expresses(config)).findFirst().orElseThrow();
  }

  /** The name in a folder of a whole language model. */
  default String prefixed(String name) {
    return name.startsWith(head() + ".") ? name : prefix() + name;
  }

  /** The name without prefix. */
  default String bare(String name) {
    return name.startsWith(prefix()) ? name.substring(prefix().length()) : name;
  }

  /** The activation under {@code key}. */
  static Activation activation(JsonObject json, String key, Activation absent) {
    String name = json.text(key);
    Activation activation = name == null ? absent : Activation.ofHf(name);
    if (activation == null) {
      throw json.unsupported(key, "gelu, gelu_new, gelu_fast or gelu_pytorch_tanh");
    }
    return activation;
  }

  /** The number of heads under {@code key}, a divisor of the width. */
  static int heads(JsonObject json, String key, int absent, int hidden) {
    int heads = json.integer(key, absent, 1, MAX_WIDTH);
    if (hidden % heads != 0) {
      throw json.unsupported(key, "a divisor of the width " + hidden);
    }
    return heads;
  }

  /** The id that ends a document. */
  static int endOfText(JsonObject json, int absent) {
    return json.firstInteger("eos_token_id", absent, -1, 0, Integer.MAX_VALUE);
  }

  /** What every {@code config.json} says in the same words. */
  static Map<String, Object> common(
      String architecture, String modelType, ModelConfig config, String dtype) {
    Integer endOfText = config.endOfText() < 0 ? null : config.endOfText();
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("architectures", new String[] {architecture});
    json.put("model_type", modelType);
    json.put("vocab_size", config.vocabSize());
    json.put("tie_word_embeddings", config.tiedHead());
    json.put("bos_token_id", endOfText);
    json.put("eos_token_id", endOfText);
    json.put("dtype", dtype);
    json.put("torch_dtype", dtype);
    json.put("use_cache", true);
    return json;
  }
}
