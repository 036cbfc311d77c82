package dev.jneox.cli;

import dev.jneox.format.hf.HfFolder;
import dev.jneox.io.InputException;
import dev.jneox.model.ModelSpec;
import dev.jneox.tokenizer.Tokenizer;
import dev.jneox.train.NeoxConfig;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;

/**
 * The shape of a model and how its first weights are drawn.
 *
 * @param source what it was read from
 * @param deviation standard deviation of most matrices
 * @param outputDeviation standard deviation of the matrices that write to the residual stream
 */
record Recipe(Path source, ModelSpec shape, double deviation, double outputDeviation) {
  /** Those that come with JNeoX. */
  static final List<String> NAMES =
      List.of(
          "20B",
          "pythia/14M",
          "pythia/31M",
          "pythia/70M",
          "pythia/160M",
          "pythia/410M",
          "pythia/1B",
          "pythia/1-4B",
          "pythia/2-8B",
          "pythia/6-9B",
          "pythia/12B");

  /**
   * Tokens of GPT-NeoX-20B's tokenizer, which all of them were trained with; id 0 ends a document.
   */
  private static final int TOKENS = 50_277;

  /**
   * What HF transformers draws the weights of all four families with, unless a folder says
   * otherwise.
   */
  private static final double HF_DEVIATION = 0.02;

  /**
   * Lines of {@link NeoxConfig#unsupported} that are about the shape, not about how it is trained.
   */
  private static final Pattern ABOUT_THE_SHAPE =
      Pattern.compile(
          ".*: (mlp_multiple_of|sliding_window_width|norm|use_qk_layernorm|use_bias_in_attn_linear|use_bias_in_mlp|mlp_type"
              + "|activation|pos_emb|(output_layer_)?init_method|soft_prompt_tuning|moe_num_experts|num_kv_heads|attention_config|sparse_attention):"
              + " .*");

  /**
   * Reads one.
   *
   * @param name one of {@link #NAMES}, a configuration in GPT-NeoX's keys, or a folder or {@code
   *     config.json} of HF transformers
   * @param tokenizer decides about the vocabulary of a configuration in GPT-NeoX's keys; null for
   *     that of 20B
   */
  static Recipe of(String name, Tokenizer tokenizer) {
    Path path = Path.of(name);
    if (Files.isDirectory(path) || path.endsWith("config.json")) {
      Path folder = Files.isDirectory(path) ? path : path.toAbsolutePath().getParent();
      return new Recipe(path, HfFolder.spec(folder), HF_DEVIATION, HF_DEVIATION);
    }
    if (name.matches(".*\\.(yml|yaml|json)")) {
      return of(path, NeoxConfig.load(List.of(path), List.of()), tokenizer);
    }
    String known =
        NAMES.stream()
            .filter(name::equalsIgnoreCase)
            .findFirst()
            .orElseThrow(
                () ->
                    new InputException(
                        "--config: expected a file, a model folder or one of "
                            + String.join(", ", NAMES)
                            + ", found "
                            + name));
    return of(
        path, NeoxConfig.of(Map.of(Path.of(known + ".yml"), shipped(known)), List.of()), tokenizer);
  }

  private static Recipe of(Path source, NeoxConfig config, Tokenizer tokenizer) {
    config.unsupported().stream()
        .filter(line -> ABOUT_THE_SHAPE.matcher(line).matches())
        .findFirst()
        .ifPresent(
            line -> {
              throw new InputException(line);
            });
    int tokens = tokenizer == null ? TOKENS : tokenizer.vocabSize();
    int endOfText = tokenizer == null ? 0 : tokenizer.id("<|endoftext|>").orElse(-1);
    return new Recipe(
        source,
        config.model().shape(tokens, endOfText),
        config.model().initStd(),
        config.model().outputInitStd());
  }

  private static String shipped(String name) {
    try (InputStream in = Recipe.class.getResourceAsStream("/configs/" + name + ".yml")) {
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
