package dev.jneox.format.hf;

import dev.jneox.io.JsonObject;
import dev.jneox.model.Activation;
import dev.jneox.model.Attention;
import dev.jneox.model.BlockSpec;
import dev.jneox.model.FeedForward;
import dev.jneox.model.ModelSpec;
import dev.jneox.model.Norm;
import dev.jneox.model.Residual;
import dev.jneox.model.Vocabulary;
import dev.jneox.weights.TensorExpression;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;

/**
 * Maps the {@code config.json} and the tensors of one {@code model_type} of HF transformers to
 * {@link ModelSpec} and back. Missing keys have the defaults of transformers' configuration
 * classes.
 */
public sealed interface Family
    permits NeoxFamily, GptJFamily, Gpt2Family, GptNeoFamily, LlamaFamily, JneoxFamily {
  /**
   * All families. A model is written as the first one that can express it; the last can express
   * every one.
   */
  List<Family> ALL =
      List.of(
          new NeoxFamily(),
          new GptJFamily(),
          new Gpt2Family(),
          new GptNeoFamily(),
          new LlamaFamily(),
          new JneoxFamily());

  // Limits far above any model, so that a broken file is rejected before memory is allocated.
  /** The largest width that is read. */
  int MAX_WIDTH = 1 << 20;

  /** The most layers that are read. */
  int MAX_LAYERS = 1 << 14;

  /** The most positions that are read. */
  int MAX_POSITIONS = 1 << 20;

  /** Returns the {@code model_type} in {@code config.json}. */
  String modelType();

  /**
   * Returns the prefix of every name except the head's in a language model. A saved base model has
   * no prefix.
   */
  String prefix();

  /** Returns the head's name up to the dot. */
  String head();

  /**
   * Lists the tensors of a model, by names without {@link #prefix}, in the order of its parameters.
   */
  List<TensorExpression> tensors(ModelSpec spec);

  /**
   * Returns whether a name without prefix is that of a buffer, which older versions of transformers
   * save beside the weights.
   */
  boolean isBuffer(String name);

  /**
   * Reads the configuration.
   *
   * @param usedVocab how many ids the tokenizer uses, at most {@link #vocabSize}
   */
  ModelSpec spec(JsonObject json, int usedVocab);

  /** Returns the rows of the embedding. */
  int vocabSize(JsonObject json);

  /**
   * Returns whether a folder of this family can express all of {@code spec}, so that its readers
   * compute the same.
   */
  boolean expresses(ModelSpec spec);

  /**
   * Builds the {@code config.json} of a model that this family {@link #expresses}; {@code dtype} is
   * PyTorch's name.
   */
  Map<String, Object> json(ModelSpec spec, String dtype);

  /** Returns the family that a {@code config.json} names. */
  static Family of(JsonObject json) {
    String type = json.text("model_type").orElse("");
    for (Family family : ALL) {
      if (family.modelType().equals(type)) {
        return family;
      }
    }
    throw json.unsupported(
        "model_type", ALL.stream().map(Family::modelType).collect(Collectors.joining(", ")));
  }

  /**
   * Chooses the family as which a model is written.
   *
   * @throws IllegalArgumentException when no family expresses it
   */
  static Family of(ModelSpec spec) {
    return ALL.stream()
        .filter(family -> family.expresses(spec))
        .findFirst()
        .orElseThrow(
            () ->
                new IllegalArgumentException(
                    "no format of a folder can say what the model is: its layers differ"));
  }

  /** Returns the name in a folder of a language model. */
  default String prefixed(String name) {
    return name.startsWith(head() + ".") ? name : prefix() + name;
  }

  /** Returns the name without prefix, as {@link #tensors} has it where versions spell it apart. */
  default String bare(String name) {
    return name.startsWith(prefix()) ? name.substring(prefix().length()) : name;
  }

  /** Reads the activation under {@code key}. */
  static Activation activation(JsonObject json, String key, Activation absent) {
    Optional<Activation> activation =
        json.text(key).map(Activation::ofHf).orElse(Optional.of(absent));
    if (activation.isEmpty() || activation.get() == Activation.SILU) {
      throw json.unsupported(key, "gelu, gelu_new, gelu_fast or gelu_pytorch_tanh");
    }
    return activation.get();
  }

  /** Reads the number of heads under {@code key}, a divisor of the width. */
  static int heads(JsonObject json, String key, int absent, int hidden) {
    int heads = json.integer(key, absent, 1, MAX_WIDTH);
    if (hidden % heads != 0) {
      throw json.unsupported(key, "a divisor of the width " + hidden);
    }
    return heads;
  }

  /**
   * Returns whether a model has the form of the GPT families: equal layers except for their
   * windows, layer norms with one epsilon, one key per query, heads that share the width evenly, an
   * MLP of two matrices with biases.
   */
  static boolean isGpt(ModelSpec spec) {
    BlockSpec block = spec.first();
    Attention attention = block.attention();
    return spec.isUniform()
        && spec.finalNorm() instanceof Norm.Layer
        && hasOneNorm(spec)
        && attention.groupSize() == 1
        && attention.queryWidth() == spec.width()
        && block.feedForward() instanceof FeedForward.Plain(int _, Activation act, boolean bias)
        && act != Activation.SILU
        && bias;
  }

  /** Returns whether all norms are of one kind with one epsilon. */
  static boolean hasOneNorm(ModelSpec spec) {
    Residual residual = spec.first().residual();
    return residual.attention().equals(spec.finalNorm())
        && residual.feedForward().equals(spec.finalNorm());
  }

  /** Reads the ids that end a text; empty where the key is missing. */
  static List<Integer> ends(JsonObject json) {
    return json.integers("eos_token_id", 0, Integer.MAX_VALUE);
  }

  /** Reads the id that ends a document. */
  static int endOfText(JsonObject json, int absent) {
    return json.firstInteger("eos_token_id", absent, -1, 0, Integer.MAX_VALUE);
  }

  /** Builds the keys that every {@code config.json} has. */
  static Map<String, Object> common(
      String architecture, String modelType, ModelSpec spec, String dtype) {
    Vocabulary vocabulary = spec.vocabulary();
    Integer endOfText = vocabulary.endOfText() < 0 ? null : vocabulary.endOfText();
    List<Integer> ends = vocabulary.ends();
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("architectures", new String[] {architecture});
    json.put("model_type", modelType);
    json.put("vocab_size", vocabulary.rows());
    json.put("tie_word_embeddings", spec.head().tied());
    json.put("bos_token_id", endOfText);
    json.put("eos_token_id", ends.size() > 1 ? ends : ends.isEmpty() ? null : ends.getFirst());
    json.put("dtype", dtype);
    json.put("torch_dtype", dtype);
    json.put("use_cache", true);
    return json;
  }
}
