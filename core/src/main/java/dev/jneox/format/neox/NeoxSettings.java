package dev.jneox.format.neox;

import static dev.jneox.io.JsonObject.shortened;

import dev.jneox.io.InputException;
import dev.jneox.io.InputFile;
import dev.jneox.io.StorageException;
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
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Reads the configuration that GPT-NeoX stores beside a checkpoint: the files of {@code configs/},
 * merged. It reads only keys that determine the function of the model, and rejects by name a key
 * that would make it another function than {@link ModelSpec} describes.
 */
final class NeoxSettings {
  // Limits far above any model, so that a broken file is rejected before memory is allocated.
  private static final int MAX_BYTES = 1 << 20;
  private static final int MAX_WIDTH = 1 << 20;
  private static final int MAX_LAYERS = 1 << 14;

  private static final String LAYER_NORM = "layernorm";
  private static final String RMS_NORM = "rmsnorm";

  /** The gated activations that are supported, by GPT-NeoX's names. */
  private static final Map<String, Activation> GATES =
      Map.of("swiglu", Activation.SILU, "geglu", Activation.GELU);

  private record Value(Path file, Object value) {}

  private final Path dir;
  private final Map<String, Value> values = new LinkedHashMap<>();

  private NeoxSettings(Path dir) {
    this.dir = dir;
  }

  /** Reads every YAML and JSON file of a folder. */
  static NeoxSettings read(Path dir) {
    NeoxSettings settings = new NeoxSettings(dir);
    try (var files = Files.list(dir)) {
      for (Path file : files.sorted().toList()) {
        if (file.getFileName().toString().matches(".*\\.(yml|yaml|json)")) {
          settings.merge(file);
        }
      }
    } catch (IOException e) {
      throw StorageException.of(dir, "cannot be read", e);
    }
    if (settings.values.isEmpty()) {
      throw new InputException(dir + ": expected the run's configuration (*.yml), found none");
    }
    return settings;
  }

  private void merge(Path file) {
    if (!(new YamlTree(file.toString(), text(file)).root() instanceof Map<?, ?> map)) {
      throw InputException.in(file, "content", "keys and values", "another value");
    }
    map.forEach(
        (key, value) -> {
          String name = String.valueOf(key).replace('-', '_');
          Value other = values.putIfAbsent(name, new Value(file, value));
          if (other != null && !shown(other.value()).equals(shown(value))) {
            throw InputException.in(
                file,
                name,
                shown(other.value()) + ", as in " + other.file().getFileName(),
                shown(value));
          }
        });
  }

  /** Returns the string under a key; {@code absent} without it. */
  private static String text(Path file) {
    try {
      return InputFile.text(file, MAX_BYTES);
    } catch (IOException e) {
      throw StorageException.ofText(file, e);
    }
  }

  /** Builds the model, once its vocabulary is known. */
  ModelSpec spec(int vocabSize, int usedVocab, int endOfText) {
    refuseOtherFunctions();
    int hidden = integer("hidden_size", MAX_WIDTH);
    int layers = integer("num_layers", MAX_LAYERS);
    int heads = integer("num_attention_heads", MAX_WIDTH);
    int kvHeads = value("num_kv_heads") == null ? heads : integer("num_kv_heads", MAX_WIDTH);
    int maxPositions = integer("max_position_embeddings", Integer.MAX_VALUE);
    boolean biases = flag("use_bias_in_attn_linear", true);
    Norm norm =
        text("norm", LAYER_NORM).equalsIgnoreCase(RMS_NORM)
            ? new Norm.Rms(number("rms_norm_epsilon", 1e-8))
            : new Norm.Layer(number("layernorm_epsilon", 1e-5));
    Residual residual =
        !flag("gpt_j_residual", false)
            ? new Residual.Serial(norm, norm)
            : flag("gpt_j_tied", false)
                ? new Residual.ParallelOneNorm(norm)
                : new Residual.Parallel(norm, norm);
    try {
      Position position = position(hidden, heads);
      int headDim = ModelSpec.headDim(hidden, heads);
      return ModelSpec.of(
          new Vocabulary(vocabSize, usedVocab, endOfText),
          hidden,
          new Embedding(position instanceof Position.None),
          layers,
          new BlockSpec(
              residual,
              new Attention(
                  heads, kvHeads, headDim, position, 0, Attention.scaleOf(headDim), biases, biases),
              feedForward(hidden)),
          new Head(!flag("no_weight_tying", false), false),
          maxPositions);
    } catch (IllegalArgumentException e) {
      throw new InputException(dir + ": " + e.getMessage(), e);
    }
  }

  private FeedForward feedForward(int hidden) {
    boolean bias = flag("use_bias_in_mlp", true);
    int width = intermediateSize(hidden);
    Activation gate = GATES.get(text("activation", "gelu").toLowerCase(Locale.ROOT));
    if (gate != null) {
      return new FeedForward.Gated(gatedWidth(width), gate, bias);
    }
    if (!bias) {
      only("use_bias_in_mlp", "true");
    }
    return new FeedForward.Plain(
        width, flag("bias_gelu_fusion", false) ? Activation.GELU_TANH : Activation.GELU, bias);
  }

  /**
   * Computes the width of a gated MLP as GPT-NeoX does: two thirds of {@code intermediate_size},
   * halved and rounded up to {@code mlp_multiple_of}.
   */
  private int gatedWidth(int asked) {
    int multiple = value("mlp_multiple_of") == null ? 1 : integer("mlp_multiple_of", 1 << 24);
    long both = (long) (asked * (2.0 / 3));
    return Math.toIntExact(Math.ceilDiv(both, 2L * multiple) * multiple);
  }

  /** Returns the value of {@code activation} for a feed-forward layer. */
  static String activation(FeedForward feedForward) {
    return switch (feedForward) {
      case FeedForward.Plain plain -> "gelu";
      case FeedForward.Gated gated ->
          GATES.entrySet().stream()
              .filter(gate -> gate.getValue() == gated.activation())
              .findFirst()
              .orElseThrow()
              .getKey();
    };
  }

  private void refuseOtherFunctions() {
    only("norm", LAYER_NORM, RMS_NORM);
    only("activation", "gelu", "swiglu", "geglu");
    only("mlp_type", "regular");
    only("use_qk_layernorm", "false");
    only("use_mup", "false");
    only("moe_num_experts", "0", "1");
    only("opt_pos_emb_offset", "0");
    if (!GATES.containsKey(text("activation", "gelu").toLowerCase(Locale.ROOT))) {
      only("mlp_multiple_of", "1");
    }
    only("sliding_window_width");
    if (value("soft_prompt_tuning") instanceof Map<?, ?> prompt
        && Boolean.TRUE.equals(prompt.get("enabled"))) {
      throw unsupported("soft_prompt_tuning", "none");
    }
    if (!"1".equals(text("model_parallel_size", "1"))) {
      only("output_layer_parallelism", "column");
    }
    attentionTypes(value("attention_config"));
  }

  /** Checks {@code [[["flash"], 12]]}: global attention by any kernel. */
  private void attentionTypes(@Nullable Object config) {
    List<Object> open = new ArrayList<>();
    open.add(config == null ? List.of() : config);
    while (!open.isEmpty()) {
      switch (open.removeLast()) {
        case List<?> list -> list.stream().filter(Objects::nonNull).forEach(open::add);
        case String type when !List.of("global", "flash", "all").contains(type) ->
            throw unsupported("attention_config", "attention of type global or flash");
        default -> {}
      }
    }
  }

  private Position position(int hidden, int heads) {
    if (text("pos_emb", "learned").equals("learned")) {
      return new Position.None(); // the embedding adds them
    }
    only("pos_emb", "rotary", "learned");
    if (heads < 1 || hidden % heads != 0) {
      throw unsupported("num_attention_heads", "a divisor of hidden_size " + hidden);
    }
    double pct = number("rotary_pct", 1);
    return new Position.Rotary(
        pct <= 1 ? ModelSpec.rotaryDims(hidden / heads, pct) : 0,
        number("rotary_emb_base", 10000),
        false);
  }

  private int intermediateSize(int hidden) {
    if (value("intermediate_size") != null) {
      return integer("intermediate_size", 16 * MAX_WIDTH);
    }
    return (int) (number("expansion_factor", 4) * hidden);
  }

  /** Returns the text under a key; {@code absent} without it. */
  String text(String key, String absent) {
    return value(key) == null ? absent : shown(value(key));
  }

  private @Nullable Object value(String key) {
    Value value = values.get(key);
    return value == null ? null : value.value();
  }

  private void only(String key, String... done) {
    if (value(key) != null && !List.of(done).contains(shown(value(key)).toLowerCase(Locale.ROOT))) {
      throw unsupported(key, done.length == 0 ? "none" : String.join(" or ", done));
    }
  }

  private InputException unsupported(String key, String expected) {
    return InputException.in(
        Objects.requireNonNull(values.get(key)).file(), key, expected, shown(value(key)));
  }

  private int integer(String key, int max) {
    Object value = value(key);
    if (!(value instanceof Long number) || number < 1 || number > max) {
      Value given = values.get(key);
      Path place = given == null ? dir : given.file();
      throw InputException.in(
          place, key, "an integer from 1 to " + max, value == null ? "nothing" : shown(value));
    }
    return number.intValue();
  }

  private double number(String key, double absent) {
    Object value = value(key);
    if (value == null) {
      return absent;
    }
    try {
      double number = Double.parseDouble(shown(value)); // 1e-5 is text in YAML 1.1
      if (number > 0 && number < 1e15) {
        return number;
      }
    } catch (NumberFormatException e) {
      // reported below
    }
    throw unsupported(key, "a positive number");
  }

  private boolean flag(String key, boolean absent) {
    Object value = value(key);
    if (value != null && !(value instanceof Boolean)) {
      throw unsupported(key, "true or false");
    }
    return value == null ? absent : (Boolean) value;
  }

  private static String shown(@Nullable Object value) {
    return shortened(String.valueOf(value));
  }
}
