package dev.jneox.convert;

import dev.jneox.format.hf.HfFolder;
import dev.jneox.model.ModelSpec;
import dev.jneox.weights.Dtype;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Says how the first weights of a model are drawn: from normal distributions around 0.
 *
 * @param source what the shape was read from
 * @param deviation standard deviation of most matrices
 * @param outputDeviation standard deviation of the matrices that write to the residual stream
 */
public record RandomInit(Path source, ModelSpec spec, double deviation, double outputDeviation) {
  /**
   * What HF transformers draws the weights of all its families with, unless a folder says
   * otherwise.
   */
  private static final double HF_DEVIATION = 0.02;

  /**
   * Reads the shape in a folder of HF transformers or its {@code config.json}; empty when {@code
   * path} is neither.
   */
  public static Optional<RandomInit> ofHf(Path path) {
    if (!Files.isDirectory(path) && !path.endsWith("config.json")) {
      return Optional.empty();
    }
    Path folder = Files.isDirectory(path) ? path : path.toAbsolutePath().resolveSibling("");
    return Optional.of(new RandomInit(path, HfFolder.spec(folder), HF_DEVIATION, HF_DEVIATION));
  }

  /**
   * Makes the model.
   *
   * @param dtype F32, BF16 or F16
   * @param tokenizerJson text of the tokenizer to bring along, or null
   */
  public SyntheticModel model(Dtype dtype, long seed, @Nullable String tokenizerJson) {
    return new SyntheticModel(source, spec, deviation, outputDeviation, dtype, seed, tokenizerJson);
  }
}
